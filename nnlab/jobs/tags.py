"""The names of the tags that runs carry in the store: part of the stored format."""


class Tag:
    """Names of tags."""

    # Which run it is, and its result.
    JOB = "job"  # its number within the sweep
    RUN_KEY = "run_key"  # digest of what determines its result
    DATA_DIGEST = "data_digest"
    SEMANTICS = "semantics"
    OUTCOME = "outcome"  # there as soon as a run is complete
    WEIGHTS_SHA256 = "weights_sha256"
    FIGURES_MISSING = "figures_missing"  # names of figures that could not be drawn
    REASON = "reason"  # why it stopped early or failed

    # Who made it, with which code.
    OWNER = "owner"  # the process that writes it
    GIT_COMMIT = "git_commit"
    GIT_DIRTY = "git_dirty"

    # A run that stands for several others.
    KIND = "kind"  # sweep or stability
    COMMAND = "command"
    STUDY = "study"
    EXPECTED_SHA256 = "expected_sha256"  # of the study's expectation, before the first run began
    OVERRIDES = "overrides"
    BEST_RUN = "best_run"
    OPTUNA_STUDY = "optuna_study"
    OPTUNA_SAMPLER = "optuna_sampler"
    OPTUNA_TRIALS = "optuna_trials"  # in the study, those of other processes included

    LOOKS = "looks"  # with "/" and a digest of a comparison: the seeds at which it was looked at
    FURTHER_SEEDS = "further_seeds"  # the digest of the comparison that this sweep has seeds for
    CONFIRMS = "confirms"  # the sweep whose candidates for the best this one trains on new seeds

    # A run that was made from another.
    DERIVED_FROM = "derived_from"
    REPRODUCES = "reproduces"
    CERTIFICATE = "certificate"
    CAUSES = "causes"
    AT_COMMIT = "at_commit"  # the recorded code was run, and not this one

    # A run that came out of an archive.
    IMPORTED_FROM = "imported_from"  # the id under which it was first made
    IMPORTING = "importing"  # the process that imports it; absent once the import is complete

    # MLflow's own.
    PARENT = "mlflow.parentRunId"
    NAME = "mlflow.runName"
    USER = "mlflow.user"
    DESCRIPTION = "mlflow.note.content"


NAMES = frozenset(value for name, value in vars(Tag).items() if name.isupper())


def is_reserved(name: str) -> bool:
    """Tell whether a tag belongs to nnlab or to MLflow, and not to the user."""
    return name in NAMES or name.startswith(("mlflow.", f"{Tag.LOOKS}/"))
