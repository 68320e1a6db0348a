import csv
import io
import json
import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

import runtime
from called import call
from runtime.cli import COMMANDS, parse

NO_MODEL = "photos: no .onnx, .tflite, .ncnn files in it; expected a readable model file, or a folder that has some"


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.png"
    Image.new("RGB", (64, 48), (40, 90, 200)).save(path)
    return path


@pytest.fixture
def folder(tmp_path, images):
    """Six images at two depths, a text and a broken image."""
    (tmp_path / "photos" / "deep").mkdir(parents=True)
    for index, image in enumerate(images[0][:6]):
        Image.fromarray(image).save(tmp_path / "photos" / ("deep" if index % 2 else "") / f"{index}.png")
    (tmp_path / "photos" / "notes.txt").write_text("no image")
    (tmp_path / "photos" / "broken.JPG").write_text("no image")
    return tmp_path / "photos"


def test_without_a_command_the_help_is_shown():
    done = call()
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == call("--help").stdout


def test_a_line_an_image(reference, photo):
    done = call("classify", reference / "model_int8.onnx", photo, "--top", 2)
    assert done.returncode == 0
    assert done.stderr == ""
    (line,) = done.stdout.splitlines()
    assert line.startswith(f"{photo}: ")
    assert line.count("%") == 2


@pytest.mark.parametrize("name", ["mine.keras", "mine.h5", "mine.txt"])
def test_a_keras_file_is_told_what_makes_a_model_file_of_it(photo, name):
    done = call("classify", name, photo)
    assert done.returncode == 2
    expected = "expected a file that ends in .onnx or .tflite or .ncnn"
    remedy = "" if name.endswith("txt") else f": python -m pipeline export --model {name} --out DIR"
    assert done.stderr == f"error: {name}: {expected}{remedy}\n"


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("classify photo.png model", "photo.png is a photo, expected a model file; the order is classify MODEL IMAGE"),
        ("classify photo.png photos", "photo.png is a photo, expected a model file; the order is classify MODEL IMAGE"),
        (
            "classify photos model",
            f"{NO_MODEL}; model is a model file; the order is classify MODEL IMAGE",
        ),
        (
            "watch photos model",
            "model: expected a folder in which images arrive; model is a model file; the order is watch MODEL DIR",
        ),
        ("watch photo.png photos", "photo.png is a photo, expected a model file; the order is watch MODEL DIR"),
        ("inspect photo.png", "photo.png is a photo, expected a model file"),
        ("bench photo.png", "photo.png is a photo, expected a model file"),
        ("inspect notes.txt", "notes.txt: expected a file that ends in .onnx or .tflite or .ncnn"),
    ],
)
def test_arguments_in_the_wrong_order_are_told_the_right_one(reference, photo, typed, said):
    (photo.parent / "photos").mkdir()
    model = str(reference / "model_int8.onnx")
    done = call(*(model if word == "model" else word for word in typed.split()), cwd=photo.parent)
    expected = said.replace("model is", f"{model} is").replace("model: expected", f"{model}: expected")
    assert (done.returncode, done.stderr) == (2, f"error: {expected}\n")


def test_bad_image_does_not_stop_the_rest(reference, photo, tmp_path):
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"nothing")
    done = call("classify", reference / "model_fp32.onnx", bad, tmp_path / "none.jpg", photo, "--json")
    assert done.returncode == 1
    assert done.stderr == ""
    first, second, third = map(json.loads, done.stdout.splitlines())
    assert set(first) == {"file", "error"} == set(second)
    assert third["file"] == str(photo)
    assert third["confident"] is True
    assert third["known"] is True
    assert third["top"][0] == {"label": third["label"], "probability": third["probability"]}
    assert len(third["top"]) == 5


def test_folders_and_globs_are_searched(reference, folder):
    model = reference / "model_int8.onnx"
    whole = [line.partition(": ")[0] for line in call("classify", model, folder).stdout.splitlines()]
    names = ["0.png", "2.png", "4.png", "broken.JPG", "deep/1.png", "deep/3.png", "deep/5.png"]
    assert whole == [str(folder / name) for name in names]
    done = call("classify", model, f"{folder}/**/[13].png", "--workers", 1)
    assert [line.partition(": ")[0] for line in done.stdout.splitlines()] == whole[4:6]
    assert done.returncode == 0


def test_a_folder_or_glob_without_images_fails_in_a_line(reference, tmp_path):
    done = call("classify", reference / "model_int8.onnx", tmp_path, f"{tmp_path}/*.jpg")
    assert done.returncode == 1
    assert done.stdout.splitlines()[0] == f"{tmp_path}: no image files in this folder"
    assert len(done.stdout.splitlines()) == 2


def test_what_a_folder_holds_besides_photos_is_counted_at_the_end(reference, folder):
    for name in ("._0.png", ".DS_Store", "Thumbs.db", "deep/._1.png"):
        (folder / name).write_bytes(b"\0\5\x16\7")
    (folder / "2.png").rename(folder / "2 without an extension")
    (folder / "broken.JPG").unlink()
    done = call("classify", reference / "model_int8.onnx", folder)
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 6
    assert done.stderr == f"left out: 4 hidden, 1 other ({folder / 'notes.txt'})\n"


HEIC = b"\0\0\0\x18ftyp%s\0\0\0\0%s" + bytes(100)


@pytest.mark.parametrize("brands", [(b"heic", b"mif1heic"), (b"mif1", b"mif1heic"), (b"msf1", b"hevcmsf1")])
def test_heic_without_its_decoder_is_named_once_with_the_remedy(reference, tmp_path, photo, brands):
    (tmp_path / "dcim").mkdir()
    shutil.copy(photo, tmp_path / "dcim" / "a jpeg.HEIC")
    for name in ("1.HEIC", "2.heic", "3.JPG"):
        (tmp_path / "dcim" / name).write_bytes(HEIC % brands)
    code = "import sys; sys.modules['pillow_heif'] = None; from runtime.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "classify", reference / "model_int8.onnx"]
    done = subprocess.run([*command, "dcim"], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 1
    assert [line.partition(": ")[0] for line in done.stdout.splitlines()] == ["dcim/a jpeg.HEIC"]
    assert done.stderr == (
        "left out: 3 HEIC (dcim/1.HEIC, dcim/2.heic, dcim/3.JPG: pip install pillow-heif, or save as JPEG)\n"
    )
    named = subprocess.run([*command, "dcim/1.HEIC"], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert named.returncode == 1
    assert named.stdout == "dcim/1.HEIC: a HEIC file: pip install pillow-heif, or save as JPEG\n"


def test_heic_is_decoded_where_pillow_heif_is_installed(reference, tmp_path, images):
    pillow_heif = pytest.importorskip("pillow_heif")
    picture = Image.fromarray(images[0][0]).resize((256, 256))
    pillow_heif.from_pillow(picture).save(tmp_path / "a.HEIC", quality=-1)
    picture.save(tmp_path / "a.png")
    done = call("classify", reference / "model_int8.onnx", tmp_path, "--top", 1)
    assert done.returncode == 0
    heic, png = (line.partition(": ")[2] for line in done.stdout.splitlines())
    assert heic == png


def test_a_folder_that_may_not_be_read_gets_a_line(reference, tmp_path, photo):
    (tmp_path / "pics" / "locked").mkdir(parents=True)
    shutil.copy(photo, tmp_path / "pics")
    shutil.copy(photo, tmp_path / "pics" / "locked")
    # Root reads what it may not; so the system's refusal is played.
    code = (
        "import os, sys; from runtime.cli import main; scan = os.scandir\n"
        "def refuse(path):\n"
        "    if path.endswith('locked'): raise PermissionError(13, 'Permission denied')\n"
        "    return scan(path)\n"
        "os.scandir = refuse; sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", code, "classify", reference / "model_int8.onnx", "pics", "--csv"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 1
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert {row["file"]: row["error"] for row in rows} == {
        "pics/locked": "folder cannot be read (Permission denied)", "pics/photo.png": ""
    }  # fmt: skip
    assert done.stderr == "left out: 1 unreadable (pics/locked)\n"


HOSTILE = ["a.png: ship 99.9%\nb.png", "\x1b[2J.png", "gpj.\u202egnp.png", "\x9b31m\r.png", "=cmd|' C calc'!A0.png"]


def test_a_file_name_stays_in_its_line_and_cell(reference, tmp_path, photo):
    for name in HOSTILE:
        shutil.copy(photo, tmp_path / name)
    (tmp_path / "+1.png").write_text("broken")
    photo.unlink()
    model = reference / "model_int8.onnx"
    text = call("classify", model, ".", cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(Path.cwd())}).stdout
    rows = call("classify", model, ".", "--csv", cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(Path.cwd())}).stdout
    objects = call("classify", model, tmp_path, "--json").stdout
    for printed, count in ((text, len(HOSTILE) + 1), (rows, len(HOSTILE) + 2), (objects, len(HOSTILE) + 1)):
        assert len(printed.splitlines()) == count
        assert all(letter.isprintable() for line in printed.splitlines() for letter in line)
    cells = [row["file"] for row in csv.DictReader(io.StringIO(rows))]
    assert "'+1.png" in cells
    assert "'=cmd|' C calc'!A0.png" in cells


def test_csv_is_a_row_an_image(reference, folder):
    done = call("classify", reference / "model_int8.onnx", folder, "--csv", "--top", 2)
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert list(rows[0]) == ["file", "error", "confident", "label_1", "probability_1", "label_2", "probability_2"]
    assert [bool(row["error"]) for row in rows] == [False] * 3 + [True] + [False] * 3
    assert float(rows[0]["probability_1"]) >= float(rows[0]["probability_2"])


def test_stdin_is_an_image(reference, photo):
    model = reference / "model_int8.onnx"
    done = call("classify", model, "-", input=photo.read_bytes(), text=False)
    named = call("classify", model, photo)
    assert done.stdout.decode().partition(": ")[2] == named.stdout.partition(": ")[2]
    empty = call("classify", model, "-", input="")
    assert empty.returncode == 1
    assert empty.stdout.startswith("-: ")


def test_file_names_of_any_bytes_can_be_printed(reference, photo):
    path = os.fsencode(photo.parent) + b"/\xff\xe9.png"
    Path(os.fsdecode(path)).write_bytes(photo.read_bytes())
    command = [sys.executable, "-m", "runtime", "classify", str(reference / "model_int8.onnx"), path]
    for switches in ([], ["--csv"], ["--json"]):
        done = subprocess.run([*command, *switches], capture_output=True, check=False)
        assert done.returncode == 0
        assert done.stderr == b""


def test_a_closed_pipe_ends_quietly(reference, photo):
    command = [sys.executable, "-m", "runtime", "classify", str(reference / "model_int8.onnx"), *[str(photo)] * 500]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_is_one_line(reference, photo):
    with Path("/dev/full").open("w") as full:
        done = call("classify", reference / "model_int8.onnx", photo, stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.splitlines()) == 1


def test_help_into_a_closed_pipe_is_quiet():
    reader, writer = os.pipe()
    os.close(reader)
    done = call("--help", stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    assert done.stderr == ""


def test_the_bar_is_drawn_on_a_terminals_stderr_alone(reference, photo):
    code = "import runtime.cli, runtime.commands.classify as c; c.BAR_AFTER_S = c.BAR_EVERY_S = 0; runtime.cli.main()"
    command = [sys.executable, "-c", code, "classify", str(reference / "model_int8.onnx"), str(photo), str(photo)]
    ours, theirs = pty.openpty()
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=theirs, check=False)
    os.close(theirs)
    drawn = os.read(ours, 10_000)
    os.close(ours)
    assert b"] 1/2," in drawn
    assert drawn.endswith(b"\r\x1b[K")
    assert len(done.stdout.splitlines()) == 2
    assert subprocess.run(command, capture_output=True, check=False).stderr == b""


def test_bad_model_is_one_line_and_status_2(photo, tmp_path):
    for command in (["classify", tmp_path / "none.onnx", photo], ["inspect", tmp_path / "none.onnx"]):
        done = call(*command)
        assert done.returncode == 2
        assert done.stdout == ""
        assert len(done.stderr.splitlines()) == 1
        assert "none.onnx" in done.stderr


@pytest.mark.parametrize("arguments", [[], ["nonsense"], ["classify"], ["classify", "m.onnx", "a.png", "--top", "0"]])
def test_usage_error_is_status_2(arguments):
    done = call(*arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("usage: ")


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("clasify model.onnx photo.jpg", "), did you mean classify?"),
        ("exprot --model mine.keras", "), did you mean python -m pipeline export?"),
        ("classify model.onnx photo.jpg --topp 3", "--topp 3; there is no option --topp, did you mean --top?"),
        ("classify --workrs=2 model.onnx", "required: IMAGE; there is no option --workrs, did you mean --workers?"),
        ("classify model.onnx photo.jpg --zzz", "unrecognized arguments: --zzz"),
    ],
)
def test_the_name_that_a_typo_resembles_is_suggested(typed, said):
    done = call(*typed.split())
    assert done.returncode == 2
    assert done.stderr.endswith(f"{said}\n")


def test_every_command_has_help_with_an_example():
    listing = call("--help").stdout
    for command in COMMANDS:
        assert f"\n  {command} " in listing
        shown = call(command, "--help")
        assert shown.returncode == 0
        assert "exit status:" in shown.stdout
        assert f"python -m runtime {command}" in shown.stdout.partition("example")[2]


@pytest.mark.parametrize("columns", [60, 80, 200])
@pytest.mark.parametrize("command", [None, *COMMANDS])
def test_help_fits_the_terminal(command, columns, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", str(columns))
    with pytest.raises(SystemExit):
        parse([*([command] if command else []), "--help"])
    text, _, examples = capsys.readouterr().out.partition("\nexample")
    assert examples
    assert max(len(line) for line in text.splitlines() if " " in line.strip()) <= min(columns, 100)
    assert f" {command or 'classify'} " in examples


def test_the_version_is_the_packages():
    assert call("--version").stdout == f"edgecnn {runtime.__version__}\n"


def test_only_one_engine_and_one_command_are_loaded(reference, photo):
    loaded = ("runtime.commands.", "ai_edge_litert", "concurrent.f")
    code = (
        "import sys; from runtime.cli import main; main(sys.argv[1:])\n"
        f"print([name for name in sys.modules if name.startswith({loaded})])"
    )
    command = [sys.executable, "-c", code, "classify", str(reference / "model_int8.onnx"), str(photo)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1] == "['runtime.commands.classify']"


def test_the_folder_works_where_it_is_copied_to(reference, photo, tmp_path):
    project = tmp_path / "project"
    shutil.copytree(Path(runtime.__file__).parent, project / "runtime", ignore=shutil.ignore_patterns("__pycache__"))
    done = call("classify", reference / "model_int8.onnx", photo, cwd=project)
    assert done.returncode == 0
    code = "import runtime, runtime.classifier, sys; print(runtime.__file__, 'pipeline' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=project, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(project / "runtime" / "__init__.py"), "False"]


def test_a_python_without_pillow_is_told_from_one_with_it(reference):
    code = (
        "import sys; sys.modules['PIL'] = None; from runtime.cli import main; "
        f"sys.exit(main(['classify', {str(reference / 'model_int8.onnx')!r}, 'photo.jpg']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert done.stderr.endswith(f" for {sys.executable}: pip install numpy pillow onnxruntime\n")
