"""The present path of each module under which older versions recorded its digest.

A run records a digest of each module. Once, all modules were in one folder; and the package
``jobs`` was named ``runs``.
"""

# A package and its modules, ``old=new`` where the name changed too.
_MODULES = {
    "cli": "cli=main",
    "data": "data=dataset sources idx kaggle=csv_table files cache download images",
    "training": """
        network init=initializers blas layout=row_layout first_layer workspace blocks
        training_data passes=full_batch minibatches engine history outcomes worker=segments
        curvature stability=stability_search""",
    "jobs": """
        config checked=validation resolvers compose sweep study prepare=prepared_data plan=run
        codebase=code_version provenance""",
    "tracking": """
        locations database connection store tracking=tracker moving=relocation owner=process
        artifacts serving served_model predictions readers rows=sqlite_reader frames
        views=ui_views links=ui_links ui""",
    "analysis": """
        statistics variance conditions configurations groups compare=comparison pairs=paired
        comparison_tables verdicts=conclusions explanations ranking exhibit=figure_data
        gallery=figures evidence=sweep_results sections=report_sections sweep_report
        edge_report=stability_report document report""",
    "execution": """
        pools=processes child=processes crews=workers cluster=dask_workers stacks pruning
        checkpoints ledger recorder runner=scheduler earlier=reuse session resume
        summing=sweep_summary descriptions=sweep_summary notes=sweep_summary display=progress
        results pictures drawing edge=stability edge_study=stability_study""",
    "reproduction": """
        derive=config_from records=recorded_run differences certificate reproduce=repeat
        original=checkout explain=explanation findings=printing""",
    "transfer": """
        parcels=archive measurements packing=archive_writer unpacking=archive_reader
        exports=exporting imports=importing lineage doctor""",
    "plots": """
        plots/bands=learning_curves plots/cells=phase_cells plots/edge=stability
        plots/extremes=best_and_worst plots/health=hidden_units plots/history=run_curves
        plots/images=digit_images plots/matrix=confusion plots/outcomes=outcome_marks
        plots/rates=against plots/sweep=learning_curves""",
}
MOVED = {
    f"{old}.py": f"{package}/{new or old}.py"
    for package, modules in _MODULES.items()
    for old, _, new in (name.partition("=") for name in modules.split())
} | {"data/kaggle.py": "data/csv_table.py"}


def present_name(name: str) -> str:
    """Return the present path of a module, below ``nnlab/``, from a recorded one."""
    if name.startswith("runs/"):
        return f"jobs/{name.removeprefix('runs/')}"
    return MOVED.get(name, name)
