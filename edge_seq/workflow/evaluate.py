"""edge-seq evaluate: scores of the float and the integer model on windows of a side, or of other recordings."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edge_seq.data.recording import SIDES, Recording, Windows
from edge_seq.data.stored import blocks
from edge_seq.data.window_file import load_windows, windows_hash
from edge_seq.data.windows import make_windows
from edge_seq.ir.contract import contract_to_dict
from edge_seq.ir.model import FloatModel, IntModel, canonical_json, model_hash, without_decision
from edge_seq.pipeline.adapting.lessons import Adaptation, score_lessons
from edge_seq.pipeline.advice import advise, training_accuracy
from edge_seq.pipeline.config import RunConfig
from edge_seq.pipeline.logits import float_logits, real_logits
from edge_seq.pipeline.one_class.recordings import all_normal, as_one_class, recording_as_one_class
from edge_seq.scores import words
from edge_seq.scores.evaluation import Evaluation, SplitNote
from edge_seq.scores.metrics import Metrics, evaluate_predictions, softmax
from edge_seq.scores.one_class import OneClassScores, OtherClasses, detections
from edge_seq.scores.reliability import reliability
from edge_seq.support.errors import DataError, ToolError
from edge_seq.support.json_tables import load_result, save_json
from edge_seq.training.others.baselines import (
    majority_baseline,
    minirocket_baseline,
    minirocket_is_here,
    random_forest_baseline,
)
from edge_seq.workflow.folder import (
    RunFolder,
    load_learnt_windows,
    load_run_config,
    load_run_float,
    load_run_int,
    load_run_training,
    note_of_run,
    require_recordings,
    temperature_of_run,
    writes_to_run,
)

if TYPE_CHECKING:
    from edge_seq.data.readers.for_model import OtherRecordings

EVALUATE_STEPS = 3
OTHER_RECORDINGS = "other recordings"  # in place of the kind of split

Progress = Callable[[int, int, str], None]


@writes_to_run
def evaluate_run(
    run: RunFolder,
    side: str = "test",
    *,
    baselines: bool = True,
    earlier: Sequence[Evaluation] = (),
    progress: Progress = lambda *_: None,
) -> Evaluation:
    """Score the models of a run, beside the majority guess and the random forest.

    Args:
        run: folder of the run.
        side: ``train``, ``validation`` or ``test``.
        baselines: True trains and scores the baselines. Baselines scored before on the same windows are always kept.
        earlier: results of other runs, whose baselines are taken if they were scored on the same windows.
        progress: called with steps done, steps in all, and what is being done.

    Returns:
        The scores, which are also written to metrics.<side>.json.

    Raises:
        ConfigError, DataError, ModelError: as the steps say.
        ToolError: baselines are to be scored and scikit-learn is missing.
    """
    require_recordings(run, doing="evaluating")
    path = run.windows(side)
    model = load_run_float(run)
    windows = load_windows(path, num_classes=model.num_classes)
    results = _evaluate(
        run,
        windows,
        side=side,
        note=note_of_run(run, side),
        baselines=baselines,
        earlier=(*_scored_before(run, side), *earlier),
        classes=_classes_of_side(run, side, windows),
        progress=progress,
    )
    save_json(run.metrics(side), results)
    return results


def evaluate_recordings(
    run: RunFolder, recordings: OtherRecordings, *, baselines: bool = True, progress: Progress = lambda *_: None
) -> Evaluation:
    """Score the models of a run on windows of other recordings. Nothing is written.

    Args:
        run: folder of the run.
        recordings: labelled recordings, read for the float model of the run.
        baselines: True trains and scores the baselines.
        progress: called with steps done, steps in all, and what is being done.

    Raises:
        ConfigError, DataError, ContractError, ModelError: as the steps say.
        ToolError: baselines are to be scored and scikit-learn is missing.
    """
    contract = load_run_float(run).contract
    progress(0, EVALUATE_STEPS, "reading recordings")
    windows = make_windows(
        tuple(recordings),
        length=contract.window_length,
        stride=contract.window_stride,
        minimum_share=recordings.source.minimum_share,
    )
    classes = None
    if (wanted := load_run_config(run).data.one_class) is not None:
        names = class_names(run)
        classes = OtherClasses(names, tuple(windows.labels.tolist()))
        windows = as_one_class(windows, names.index(wanted.normal))
    note = note_of_others(run, windows)
    side = recordings.source.path
    return _evaluate(run, windows, side=side, note=note, baselines=baselines, classes=classes, progress=progress)


def class_names(run: RunFolder) -> tuple[str, ...]:
    """Names of the classes that labelled recordings for a run may have: those of the model, or with one class all of
    the data.

    Raises:
        DataError, ModelError: the run lacks a file, or it is damaged.
    """
    wanted = load_run_config(run).data.one_class
    return load_run_float(run).labels if wanted is None else load_other_classes(run, wanted.normal).names


def load_other_classes(run: RunFolder, normal: str) -> OtherClasses:
    """Load the classes of the data of a run whose model knows one class, ``normal``.

    Raises:
        DataError: the file is damaged, or of other data.
    """
    classes = load_result(run.other_classes, OtherClasses)
    if normal not in classes.names:
        raise DataError(
            f"{run.other_classes.name} of run {run.path.name} names the classes {list(classes.names)}, and the run's "
            f"normal class is {normal!r}; train it again in another folder"
        )
    return classes


def as_run_labels(run: RunFolder, recordings: Iterable[Recording]) -> tuple[Recording, ...]:
    """Recordings whose labels are of :func:`class_names`, with the labels of the run's model."""
    wanted = load_run_config(run).data.one_class
    if wanted is None:
        return tuple(recordings)
    normal = class_names(run).index(wanted.normal)
    return tuple(recording_as_one_class(one, normal) for one in recordings)


def _classes_of_side(run: RunFolder, side: str, windows: Windows) -> OtherClasses | None:
    """Classes of the windows of a side, for a model of one class. Only the test part has other classes."""
    wanted = load_run_config(run).data.one_class
    if wanted is None:
        return None
    classes = load_other_classes(run, wanted.normal)
    if side == "test":
        if len(classes.windows) != len(windows.labels):
            raise DataError(
                f"{run.other_classes.name} of run {run.path.name} has the class of {len(classes.windows)} windows, and "
                f"the test part has {len(windows.labels)}; train it again in another folder"
            )
        return classes
    return all_normal(classes.names, wanted.normal, windows)


def adapt_run(run: RunFolder, lessons: int, side: str = "test", *, progress: Progress = lambda *_: None) -> Adaptation:
    """Score a head that learns from some labelled windows of each group of a side.

    Args:
        run: folder of a quantized run.
        lessons: labelled windows of a group, at least 1.
        side: ``train``, ``validation`` or ``test``.
        progress: called with windows done, windows in all, and what is being done.

    Nothing is written.

    Raises:
        ConfigError, DataError, ModelError: as the steps say.
    """
    require_recordings(run, doing="adapting")
    path = run.windows(side)
    model = load_run_int(run)
    windows = load_windows(path, num_classes=model.num_classes)
    return _adapted(run, model, windows, lessons, side=side, note=note_of_run(run, side), progress=progress)


def adapt_recordings(
    run: RunFolder, recordings: OtherRecordings, lessons: int, *, progress: Progress = lambda *_: None
) -> Adaptation:
    """Score a head that learns from some labelled windows of each group of other recordings. Nothing is written.

    Args:
        run: folder of a quantized run.
        recordings: labelled recordings, read for the float model of the run.
        lessons: labelled windows of a group, at least 1.
        progress: called with windows done, windows in all, and what is being done.

    Raises:
        ConfigError, DataError, ContractError, ModelError: as the steps say.
    """
    model = load_run_int(run)
    windows = make_windows(
        as_run_labels(run, recordings),
        length=model.contract.window_length,
        stride=model.contract.window_stride,
        minimum_share=recordings.source.minimum_share,
    )
    note = note_of_others(run, windows)
    return _adapted(run, model, windows, lessons, side=recordings.source.path, note=note, progress=progress)


def _adapted(
    run: RunFolder,
    model: IntModel,
    windows: Windows,
    lessons: int,
    *,
    side: str,
    note: SplitNote,
    progress: Progress,
) -> Adaptation:
    return score_lessons(
        model,
        windows,
        lessons,
        side=side,
        note=note,
        seed=load_run_config(run).training.seed,
        progress=lambda done, of: progress(done, of, "windows"),
    )


def _one_class_scores(
    config: RunConfig, classes: OtherClasses, windows: Windows, logits: Mapping[str, NDArray[np.float64]]
) -> OneClassScores | None:
    """Scores of a model of one class, from the logits of the float and the integer model."""
    wanted = config.data.one_class
    if wanted is None:
        return None
    found = {
        words.CLASSIFIERS[name]: detections(of, classes, windows.groups, wanted.normal, seed=config.training.seed)
        for name, of in logits.items()
    }
    return OneClassScores(wanted.normal, wanted.false_alarms, found)


def note_of_others(run: RunFolder, windows: Windows) -> SplitNote:
    """Note for scores on other recordings than those of the run, with a warning if training windows are among them."""
    if not run.windows("train").is_file():  # an imported network, of which the training windows are not known
        return SplitNote(OTHER_RECORDINGS)
    train = load_learnt_windows(run)
    known = {hash(window.tobytes()) for block in blocks(train.counts) for window in block}
    moving = (window for window in windows.counts if (window != window[0]).any())  # still ones may be equal by chance
    same = sum(hash(window.tobytes()) in known for window in moving)
    if not same:
        return SplitNote(OTHER_RECORDINGS)
    return SplitNote(
        OTHER_RECORDINGS,
        f"{same:,} of {len(windows.labels):,} windows are training windows of this run, so the scores are too good",
    )


def _evaluate(
    run: RunFolder,
    windows: Windows,
    *,
    side: str,
    note: SplitNote,
    baselines: bool,
    earlier: Sequence[Evaluation] = (),
    classes: OtherClasses | None = None,
    progress: Progress,
) -> Evaluation:
    """Score the models of a run and the baselines on windows. Baselines learn all classes, so one class has none."""
    baselines = baselines and classes is None
    model = load_run_float(run)
    quantized = load_run_int(run) if run.int_model.is_file() else None
    config = load_run_config(run)
    seed = config.training.seed
    train = None
    if run.windows("train").is_file() or side in SIDES:  # an imported network may have none, and scores others' windows
        train = load_learnt_windows(run, num_classes=model.num_classes)
    baselines = baselines and train is not None
    key = "" if train is None else _baselines_key(model, train, windows, seed)
    forest_by = sklearn_version()
    kept = next((found for found in earlier if _same_baselines(found, key, forest_by)), None)
    if baselines and kept is None and forest_by is None:
        raise ToolError(
            "edge-seq evaluate needs scikit-learn for the random forest, but it is not installed; "
            "pip install 'edge-seq[data]', or give --no-baselines"
        )

    def score(probabilities: NDArray[np.float64]) -> Metrics:
        return evaluate_predictions(windows.labels, probabilities, windows.groups, label_names=model.labels, seed=seed)

    progress(0, EVALUATE_STEPS, "float model")
    logits = {"float": float_logits(model, windows.counts)}
    float_scores = score(softmax(logits["float"]))
    progress(1, EVALUATE_STEPS, "integer model")
    int_scores = None
    if quantized is not None:
        logits["int"] = real_logits(quantized, windows.counts)
        int_scores = score(softmax(logits["int"]))
    progress(2, EVALUATE_STEPS, "baselines")
    majority = forest = rocket = grown_by = None
    if kept is not None:
        majority, forest, rocket, grown_by = kept.majority, kept.random_forest, kept.minirocket, kept.baselines_by
    elif baselines and train is not None:
        count, known = len(windows.labels), model.num_classes
        grown_by = forest_by
        majority = score(majority_baseline(train.labels, count, known))
        forest = score(random_forest_baseline(train, windows, model.contract, known, seed=seed))
    if baselines and train is not None and rocket is None and minirocket_is_here(model.contract):
        progress(2, EVALUATE_STEPS, words.MINIROCKET)
        rocket = score(minirocket_baseline(train, windows, model.contract, model.num_classes, seed=seed))
    of_training = None if train is None else training_accuracy_of(run, model, train)
    shown = int_scores or float_scores
    advice: tuple[str, ...] = ()  # an imported network was not trained with the options that advice names
    if classes is None and not run.imported.is_file() and train is not None and of_training is not None:
        advice = advise(
            config,
            model.contract,
            accuracy=shown.accuracy.value,
            forest=None if forest is None else forest.accuracy.value,
            training=of_training,
            training_windows=len(train.labels),
        )
    results = Evaluation(
        side=side,
        training_accuracy=of_training,
        advice=advice or None,
        note=note,
        model_hash=model_hash(model),
        float_model=float_scores,
        # labels do not depend on the decision stage
        int_model_hash=None if quantized is None else model_hash(without_decision(quantized)),
        int_model=int_scores,
        reliability=reliability(windows.labels, temperature_of_run(run), logits),
        majority=majority,
        random_forest=forest,
        minirocket=rocket,
        baselines_of=None if forest is None else key,
        baselines_by=grown_by,
        one_class=None if classes is None else _one_class_scores(config, classes, windows, logits),
    )
    progress(EVALUATE_STEPS, EVALUATE_STEPS, "done")
    return results


def training_accuracy_of(run: RunFolder, model: FloatModel, train: Windows) -> float:
    """Accuracy on training windows, as the training wrote it; scored now for runs of releases that did not."""
    training = load_run_training(run)
    return training_accuracy(model, train) if training is None else training.training_accuracy


def _baselines_key(model: FloatModel, train: Windows, windows: Windows, seed: int) -> str:
    contract = canonical_json(contract_to_dict(model.contract))
    parts = (windows_hash(train), windows_hash(windows), contract, str(seed), str(model.num_classes))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _same_baselines(found: Evaluation, key: str, forest_by: str | None) -> bool:
    """True if scoring the baselines again would give the same. Without scikit-learn any version of it counts."""
    return found.baselines_of == key and (forest_by is None or found.baselines_by == forest_by)


def sklearn_version() -> str | None:
    """Version of scikit-learn; None if it is not installed."""
    if importlib.util.find_spec("sklearn") is None:
        return None
    return importlib.metadata.version("scikit-learn")


def _scored_before(run: RunFolder, side: str) -> list[Evaluation]:
    """Load earlier scores of this run. Scores that cannot be read are ignored, so they are made again."""
    try:
        return [load_result(run.metrics(side), Evaluation)] if run.metrics(side).is_file() else []
    except DataError:
        return []
