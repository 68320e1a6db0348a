import itertools
import threading

import numpy as np
import pytest

from runtime import Classifier, ImageDecodeError, ImageError


@pytest.fixture(scope="module")
def classifier(reference):
    return Classifier(reference / "model_int8.onnx")


@pytest.mark.parametrize("workers", [1, 2, 5])
@pytest.mark.parametrize("batch_size", [1, 4, 100])
def test_the_answers_are_those_of_classify_in_order(classifier, images, workers, batch_size):
    expected = [classifier.classify(image, top=3) for image in images[0]]
    answers = list(classifier.classify_many(images[0], top=3, workers=workers, batch_size=batch_size))
    assert [answer.label for answer in answers] == [answer.label for answer in expected]
    for answer, alone in zip(answers, expected, strict=True):
        assert dict(answer.top) == pytest.approx(dict(alone.top), abs=1e-6)


@pytest.mark.parametrize("workers", [1, 3])
def test_an_error_stands_in_its_place_on_request(classifier, images, workers):
    sources = [images[0][0], b"nothing", images[0][1], b"", images[0][2]]
    answers = list(classifier.classify_many(sources, workers=workers, batch_size=2, yield_errors=True))
    assert [isinstance(answer, ImageError) for answer in answers] == [False, True, False, True, False]
    assert answers[2].label == classifier.classify(images[0][1]).label


@pytest.mark.parametrize("workers", [1, 3])
def test_an_error_is_raised_after_the_answers_before_it(classifier, images, workers):
    answers = classifier.classify_many([images[0][0], images[0][1], b"nothing", images[0][2]], workers=workers)
    assert [next(answers).label for _ in range(2)] == [classifier.classify(image).label for image in images[0][:2]]
    with pytest.raises(ImageDecodeError):
        next(answers)


@pytest.mark.parametrize("workers", [1, 4])
def test_an_endless_stream_of_images_is_taken_only_as_needed(classifier, images, workers):
    taken = itertools.count()

    def endless():
        for image in itertools.cycle(images[0]):
            next(taken)
            yield image

    before = threading.active_count()
    answers = classifier.classify_many(endless(), workers=workers, batch_size=4)
    for _ in range(100):
        next(answers)
    assert next(taken) <= 100 + 4 + 4 + 2 * workers
    answers.close()
    assert threading.active_count() == before


@pytest.mark.parametrize("one", ["photo.jpg", b"bytes"])
def test_one_image_is_no_list_of_images(classifier, one):
    with pytest.raises(TypeError, match="put it in a list"):
        classifier.classify_many(one)


def test_nothing_in_nothing_out(classifier):
    assert list(classifier.classify_many([])) == []


@pytest.mark.parametrize("wrong", [{"top": 0}, {"batch_size": 0}, {"workers": 0}])
def test_counts_below_one_are_refused_at_once(classifier, wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        classifier.classify_many([np.zeros((8, 8, 3), np.uint8)], **wrong)
