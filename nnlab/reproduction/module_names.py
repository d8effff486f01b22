"""Where each module is that older versions knew under another name.

A run records a digest of each module. Once all modules stood in one folder, so that a
run of then names them otherwise than a run of now.
"""

# Package: its modules, "old=new" where the name changed too.
_FLAT = """
data: data=dataset sources idx kaggle files cache download images
training: network init=initializers blas layout=row_layout first_layer workspace blocks
    training_data passes=full_batch minibatches engine history outcomes worker=segments
    curvature stability=stability_search
runs: config checked=validation resolvers compose sweep study prepare=prepared_data plan=run
    ranking codebase=code_version provenance
tracking: locations database connection store tracking=tracker moving=relocation owner=process
    artifacts serving served_model predictions readers rows=sqlite_reader frames views=ui_views
    links=ui_links ui
analysis: statistics variance conditions configurations groups compare=comparison pairs=paired
    comparison_tables verdicts explanations exhibit=figure_data gallery=figures
    evidence=sweep_results sections=report_sections sweep_report edge_report=stability_report
    document report
execution: pools=processes child=processes crews=workers cluster=dask_workers stacks pruning
    checkpoints ledger recorder runner=scheduler earlier=reuse session resume summing
    descriptions display results pictures drawing edge=stability edge_study=stability_study
reproduction: derive=config_from records=record differences certificate reproduce=repeat
    original=checkout explain findings=printing
transfer: parcels=archive measurements packing=archive_writer unpacking=archive_reader
    exports=exporting imports=importing lineage doctor
"""

_PLOTS = (
    "history=run_curves images=digit_images outcomes=outcome_marks edge=stability "
    "matrix=confusion rates=against extremes=best_and_worst health=hidden_units"
)


def _table() -> dict[str, str]:
    moved = {}
    package = ""
    for word in _FLAT.split():
        if word.endswith(":"):
            package = word[:-1]
            continue
        old, _, new = word.partition("=")
        moved[f"{old}.py"] = f"{package}/{new or old}.py"
    for word in _PLOTS.split():
        old, _, new = word.partition("=")
        moved[f"plots/{old}.py"] = f"plots/{new}.py"
    return moved


_MOVED = _table()


def present_name(name: str) -> str:
    """Return the present path of a module, below ``nnlab/``, from the one that a run recorded."""
    return _MOVED.get(name, name)
