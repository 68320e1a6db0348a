"""Faults like typing errors, one operator, bound, sign or constant each, in both packages, and tests to catch them."""

from typing import NamedTuple


class Fault(NamedTuple):
    """A change to one line.

    Attributes:
        file: the module, from the root of the repository.
        right: the correct text, which occurs once in the file.
        wrong: the text that replaces it.
        tests: files or folders below ``tests`` that should catch the fault.
    """

    file: str
    right: str
    wrong: str
    tests: tuple[str, ...]


TABLE = (
    Fault(
        "pipeline/commands/evaluate.py",
        'options.on == "validation"',
        'options.on != "validation"',
        ("pipeline/test_evaluate.py",),
    ),
    Fault(
        "pipeline/commands/source_options.py",
        "float(dividend) / float(divisor or 1)",
        "float(dividend) * float(divisor or 1)",
        (
            "pipeline/test_antialiasing.py",
            "pipeline/test_load.py",
            "pipeline/test_any_model.py",
            "pipeline/test_cli.py",
        ),
    ),
    Fault(
        "pipeline/commands/train.py",
        "0 < steps < FEW_STEPS",
        "0 < steps > FEW_STEPS",
        ("pipeline/test_train.py",),
    ),
    Fault(
        "pipeline/data/class_names.py",
        "or not is_plain(name)",
        "and not is_plain(name)",
        ("pipeline/test_load.py", "pipeline/test_text.py", "pipeline/folder"),
    ),
    Fault("pipeline/data/dataset.py", "size, replace=False", "size, replace=True", ("pipeline/test_data.py",)),
    Fault(
        "pipeline/data/folder.py",
        "counts[name] < MIN_PICTURES",
        "counts[name] <= MIN_PICTURES",
        ("pipeline/folder",),
    ),
    Fault(
        "pipeline/data/photo_settings.py",
        "self._held_out >= 1",
        "self._held_out > 1",
        ("pipeline/folder", "pipeline/test_data.py"),
    ),
    Fault(
        "pipeline/data/scan.py",
        "TRAINING in names and names <= set(SPLIT_FOLDERS)",
        "TRAINING in names or names <= set(SPLIT_FOLDERS)",
        ("pipeline/folder",),
    ),
    Fault(
        "pipeline/deploy/web/serve.py",
        "404 if content is None else 200",
        "404 if content is not None else 200",
        ("pipeline/test_web.py",),
    ),
    Fault(
        "pipeline/export/fp16_dynamic.py",
        "weights.size < LEAST_WEIGHTS",
        "weights.size > LEAST_WEIGHTS",
        ("pipeline/test_formats.py",),
    ),
    Fault("pipeline/export/fp16_dynamic.py", "np.rint(weights", "np.floor(weights", ("pipeline/test_formats.py",)),
    Fault(
        "pipeline/export/load/fold_scaling.py",
        "bias = bias + shifted.sum",
        "bias = bias - shifted.sum",
        ("pipeline/test_scaling.py",),
    ),
    Fault(
        "pipeline/export/load/rounding.py",
        "powers.sum(axis=1, keepdims=True)",
        "powers.sum(axis=0, keepdims=True)",
        ("pipeline/test_rounding.py",),
    ),
    Fault(
        "pipeline/export/load/scaling.py",
        "[-offset / scale for",
        "[offset / scale for",
        ("pipeline/test_scaling.py",),
    ),
    Fault(
        "pipeline/export/quantize/acceptance.py",
        "points * images / 100",
        "points * images / 10",
        ("pipeline/test_acceptance.py",),
    ),
    Fault(
        "pipeline/export/quantize/config.py",
        "layer not in named)]",
        "layer in named)]",
        (
            "pipeline/test_quantize.py",
            "pipeline/test_quantize_search.py",
        ),
    ),
    Fault(
        "pipeline/export/quantize/decisions.py",
        "_order(candidate, decision) < _order(best[method], decision)",
        "_order(candidate, decision) > _order(best[method], decision)",
        ("pipeline/test_decisions.py",),
    ),
    Fault(
        "pipeline/export/quantize/layer.py",
        "in in_float) / max(total, 1)",
        "in in_float) * max(total, 1)",
        (
            "pipeline/test_acceptance.py",
            "pipeline/test_quantize.py",
            "pipeline/test_quantize_search.py",
        ),
    ),
    Fault(
        "pipeline/export/quantize/ranges.py",
        "percent / 100",
        "percent / 10",
        ("pipeline/test_quantize_ranges.py",),
    ),
    Fault(
        "pipeline/export/quantize/search.py",
        "config.in_float(layers)) <= MOSTLY]",
        "config.in_float(layers)) > MOSTLY]",
        (
            "pipeline/test_acceptance.py",
            "pipeline/test_quantize.py",
            "pipeline/test_quantize_search.py",
        ),
    ),
    Fault(
        "pipeline/export/rewrites/grouping.py",
        "(group + width - 2) // group + 1",
        "(group + width - 2) // group",
        ("pipeline/test_rewrites.py",),
    ),
    Fault(
        "pipeline/export/rewrites/pixels.py",
        "value / scale + zero_point",
        "value / scale - zero_point",
        ("pipeline/test_rewrites.py",),
    ),
    Fault(
        "pipeline/export/rewrites/editing.py",
        "for node in nodes[position + 1 :]",
        "for node in nodes[position + 2 :]",
        ("pipeline/test_rewrites.py",),
    ),
    Fault(
        "pipeline/metrics/calibration.py",
        "sum(axis=1)) - tempered[",
        "sum(axis=1)) + tempered[",
        ("pipeline/test_metrics.py", "pipeline/test_evaluate.py"),
    ),
    Fault(
        "pipeline/metrics/difference.py",
        "if lengths > 0 else float(self.signal == self.power)",
        "if lengths > 0 else float(self.signal != self.power)",
        ("pipeline/test_metrics.py", "pipeline/test_drift.py"),
    ),
    Fault(
        "pipeline/metrics/significance.py",
        "0.0 if values.mean() > bound else 1.0",
        "0.0 if values.mean() < bound else 1.0",
        ("pipeline/test_metrics.py", "pipeline/test_acceptance.py"),
    ),
    Fault(
        "pipeline/metrics/classification.py",
        "answers.argmax(axis=1) == labels",
        "answers.argmax(axis=1) != labels",
        ("pipeline/test_metrics.py", "pipeline/test_evaluate.py"),
    ),
    Fault("pipeline/models/fold.py", "beta - mean * scale", "beta + mean * scale", ("pipeline/test_models.py",)),
    Fault(
        "pipeline/models/summary.py",
        "kernel * math.prod(shape[:-1])",
        "kernel + math.prod(shape[:-1])",
        ("pipeline/test_models.py",),
    ),
    Fault(
        "pipeline/models/units.py",
        "if len(outputs) > 1 else outputs[0]",
        "if len(outputs) > 2 else outputs[0]",
        ("pipeline/test_models.py",),
    ),
    Fault(
        "pipeline/report/gather.py",
        "if digest != entry.sha256",
        "if digest == entry.sha256",
        ("pipeline/test_report.py",),
    ),
    Fault(
        "pipeline/report/parity.py",
        "np.array(row.confusion) - keras",
        "np.array(row.confusion) + keras",
        ("pipeline/test_report_figures.py",),
    ),
    Fault(
        "pipeline/report/figures/latency.py",
        "1.1 * max(min(",
        "0.1 * max(min(",
        ("pipeline/test_report_figures.py", "pipeline/test_report_browser.py"),
    ),
    Fault(
        "pipeline/training/augmentation.py",
        "(column < boxes[:, 3:])",
        "(column <= boxes[:, 3:])",
        ("pipeline/test_augmentation.py",),
    ),
    Fault(
        "pipeline/training/batches.py",
        "first = context.input_pipeline_id * local",
        "first = context.input_pipeline_id + local",
        ("pipeline/test_batches.py",),
    ),
    Fault(
        "pipeline/training/learner.py",
        "(1 - weight) * losses + weight",
        "(1 + weight) * losses + weight",
        ("pipeline/test_learner.py",),
    ),
    Fault(
        "pipeline/training/settings.py",
        "self.cutmix + self.mixup <= 1",
        "self.cutmix + self.mixup < 1",
        ("pipeline/test_train.py", "pipeline/test_batches.py", "pipeline/test_augmentation.py"),
    ),
    Fault(
        "pipeline/training/distribution.py",
        "resolver.task_id == 0",
        "resolver.task_id != 0",
        ("pipeline/test_distribute.py",),
    ),
    Fault(
        "pipeline/training/teacher.py",
        'f"{self.key}_{name}.npy"',
        'f"{self.key}_0.npy"',
        ("pipeline/test_learner.py", "pipeline/test_train.py"),
    ),
    Fault(
        "pipeline/verify/drift/match.py",
        "scores[best][1] < CERTAIN_DB",
        "scores[best][1] > CERTAIN_DB",
        ("pipeline/test_drift.py",),
    ),
    Fault("pipeline/verify/drift/measure.py", "own < LOST_DB", "own > LOST_DB", ("pipeline/test_drift.py",)),
    Fault(
        "pipeline/verify/evaluate/tables.py",
        "percent_of(row.recall, row.images, 1)",
        "percent_of(row.precision, row.images, 1)",
        ("pipeline/test_evaluate.py",),
    ),
    Fault(
        "runtime/benchmark/measuring.py",
        "number < BATCH_ROUNDS",
        "number > BATCH_ROUNDS",
        ("runtime/test_benchmark.py",),
    ),
    Fault(
        "runtime/benchmark/timed_model.py",
        "abs(now - before) <= STEADY * before",
        "abs(now - before) >= STEADY * before",
        ("runtime/test_benchmark.py", "runtime/test_timing.py"),
    ),
    Fault(
        "runtime/benchmark/timing.py",
        "range(number * runs, (number + 1) * runs)",
        "range(number * runs, (number + 2) * runs)",
        ("runtime/test_timing.py",),
    ),
    Fault(
        "runtime/bundle/version.py",
        "new < current and (signed or new)",
        "new <= current and (signed or new)",
        ("runtime/bundle",),
    ),
    Fault(
        "runtime/camera/inbox.py",
        "len(self._frames) == QUEUE",
        "len(self._frames) == QUEUE + 50",
        ("runtime/test_stream.py",),
    ),
    Fault("runtime/commands/watch.py", ">= SETTLED_S", "< SETTLED_S", ("runtime/test_watch.py",)),
    Fault(
        "runtime/engines/archive.py",
        "entry.file_size > limit",
        "entry.file_size < limit",
        ("runtime/test_packed.py", "runtime/test_hostile.py"),
    ),
    Fault(
        "runtime/engines/protobuf.py",
        "if number == 0 or depth < 0",
        "if number == 0 or depth < -1000",
        ("runtime/test_onnx_file.py", "runtime/test_hostile.py"),
    ),
    Fault(
        "runtime/engines/tflite_file.py",
        "range(start + 4, start + 4 + 4 * count, 4)",
        "range(start + 4, start + 4 * count, 4)",
        ("runtime/test_output_kind.py", "runtime/test_loading.py", "pipeline/test_crafted_models.py"),
    ),
    Fault(
        "runtime/golden.py",
        "place += 12 + int.from_bytes",
        "place += 8 + int.from_bytes",
        ("runtime/test_packed.py", "runtime/test_classifier.py"),
    ),
    Fault(
        "runtime/image/color.py",
        "(((values >> 1) + 64) >> 7)",
        "(((values >> 1) + 64) >> 6)",
        ("runtime/test_image_color.py",),
    ),
    Fault(
        "runtime/image/decode.py",
        "image.width // scale, image.height // scale",
        "image.width // scale, image.width // scale",
        ("runtime/test_image.py",),
    ),
    Fault(
        "runtime/image/header/base.py",
        "pixels > most or",
        "pixels > 2 * most or",
        ("runtime/test_header.py", "runtime/test_image.py", "runtime/test_hostile.py"),
    ),
    Fault(
        "runtime/image/header/gif.py",
        "max(width, left + across)",
        "min(width, left + across)",
        ("runtime/test_header.py",),
    ),
    Fault(
        "runtime/image/header/tiff.py",
        "total > 8 * MAX_METADATA",
        "total > 8000 * MAX_METADATA",
        ("runtime/test_header.py", "runtime/test_hostile.py", "runtime/test_image.py"),
    ),
    Fault(
        "runtime/image/resize.py",
        "-(-(bottom - top) // factors[1])",
        "(bottom - top) // factors[1]",
        ("runtime/test_image.py",),
    ),
    Fault(
        "runtime/text.py",
        "if more > 0 else",
        "if more < 0 else",
        ("runtime/test_photo_files.py",),
    ),
    Fault("runtime/system/fork.py", "state.forks != _forks", "state.forks == _forks", ("runtime/test_threads.py",)),
    Fault(
        "runtime/system/processors.py",
        "1 <= count <= most",
        "0 <= count <= most",
        ("runtime/test_tuning.py", "runtime/test_threads.py"),
    ),
    Fault(
        "runtime/spec.py",
        "self.temperature > 0",
        "self.temperature >= 0",
        ("runtime/test_loading.py", "runtime/test_classifier.py", "runtime/test_engines.py"),
    ),
)
