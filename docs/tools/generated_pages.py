"""What MkDocs asks while it builds the site: pages that are generated, pages that stand elsewhere.

The tables of ``reference/configuration.md`` come from the typed schema and the comments of
``conf/``, the commands of ``reference/commands.md`` from Click's declarations,
``experiments/tour.md`` from the notebook. ``benchmarks/`` and ``experiments/`` are taken in
where they are, with their figures. Links are written as they lead in a checkout.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from pydantic import BaseModel

from nnlab.cli.main import main
from nnlab.jobs.config import (
    DataConfig,
    InitConfig,
    PruneConfig,
    RunConfig,
    SharpnessConfig,
    TrackingConfig,
)
from nnlab.jobs.launch_config import LaunchConfig
from nnlab.search.samplers import SearchSettings

ROOT = Path(__file__).resolve().parents[2]
CONF = ROOT / "conf"
CHOSEN = ("init.name", "data.source", "prune.rule")  # by an option of the group, never by itself
TAKEN_IN = ("benchmarks/*.md", "benchmarks/*.png", "experiments/**/*.md", "experiments/**/*.png")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages, and those that stand elsewhere in the repository."""
    for pattern in TAKEN_IN:
        for path in sorted(ROOT.glob(pattern)):
            if path.name != "notes.md":  # a study's page has it already
                name = path.relative_to(ROOT).as_posix()
                files.append(File.generated(config, name, abs_src_path=str(path)))
    tour = notebook(ROOT / "experiments" / "tour.ipynb")
    files.append(File.generated(config, "experiments/tour.md", content=tour))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Fill in what is generated, and have links out of ``docs/`` lead to the site's own pages."""
    name = page.file.src_uri
    if name == "reference/configuration.md":
        made = tables()
        markdown = re.sub(r"<!-- table: (\w+) -->", lambda match: made[match[1]], markdown)
    elif name == "reference/commands.md":
        markdown = markdown.replace("<!-- commands -->", commands())
    # The lexer of ``console`` takes a table's head, "# lr …", for a command of root's.
    markdown = markdown.replace("```console\n", "```text\n")
    if name.startswith(("benchmarks/", "experiments/")):
        markdown = markdown.replace("](../docs/", "](../")
    else:
        up = "../" * name.count("/")
        markdown = re.sub(rf"\]\({up}\.\./(?=benchmarks/|experiments/)", f"]({up}", markdown)
    return markdown.replace("tour.ipynb)", "tour.md)")


# The configuration


def tables() -> dict[str, str]:
    """Write the tables of the configuration: each field, its default, what it may be and does."""
    said = documented(CONF / "config.yaml")
    data = documented(CONF / "data" / "mnist.yaml")
    from_file = documented(CONF / "data" / "file.yaml")
    data |= {name: told for name, told in from_file.items() if name not in data}
    none, halving = (documented(CONF / "prune" / f"{name}.yaml") for name in ("none", "halving"))
    prune = {name: (none[name][0], none[name][1] or halving[name][1]) for name in none}
    tracking = {name.removeprefix("tracking."): value for name, value in said.items()}
    sharpness = {"every": said["sharpness.every"]}
    return {
        "run": table(RunConfig, {name: value for name, value in said.items() if value[0]}),
        "inits": options("init"),
        "init": table(InitConfig, documented(CONF / "init" / "normal.yaml"), "init."),
        "datasets": options("data"),
        "data": table(DataConfig, data, "data."),
        "prune": table(PruneConfig, prune, "prune."),
        "sharpness": table(SharpnessConfig, sharpness, "sharpness."),
        "tracking": table(TrackingConfig, tracking, "tracking."),
        "launcher": table(
            LaunchConfig, documented(CONF / "hydra" / "launcher" / "nnlab.yaml"), "hydra.launcher."
        ),
        "search": table(
            SearchSettings,
            documented(CONF / "hydra" / "sweeper" / "nnlab_optuna.yaml"),
            "hydra.sweeper.",
        ),
        "studies": options("experiment"),
    }


def documented(path: Path) -> dict[str, tuple[str, str]]:
    """Read from a YAML file each field's value, and the comment beside and below it."""
    found: dict[str, tuple[str, str]] = {}
    head = last = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        field = re.fullmatch(r"( *)(\w+):\s*(.*?)\s*(?:# (.*))?", line)
        if field:
            indent, name, value, comment = field.groups()
            head = head if indent else ("" if value else f"{name}.")
            last = (head if indent else "") + name
            found[last] = value, comment or ""
        elif last and (more := re.fullmatch(r" +# (.*)", line)):
            found[last] = found[last][0], f"{found[last][1]} {more[1]}"
        else:
            last = ""
    return found


def table(model: type[BaseModel], said: dict[str, tuple[str, str]], prefix: str = "") -> str:
    """Write a table of those fields of a model that the files of ``conf/`` show."""
    rows = ["| field | default | may be | |", "|---|---|---|---|"]
    for name, field in model.model_fields.items():
        if name in said and prefix + name not in CHOSEN:
            value, comment = said[name]
            allowed = field.description or "a whole number, 0 or more"  # a seed: an alias' own text
            if comment.replace(" | ", " or ") == allowed:
                comment = ""
            default = "must be given" if value == "???" else f"`{value}`"
            rows.append(f"| `{prefix}{name}` | {default} | {allowed} | {in_cell(comment)} |")
    return "\n".join(rows)


def options(group: str) -> str:
    """Write a table of the options of a group, each with the comment that its file begins with."""
    rows = [f"| `{group}=` | |", "|---|---|"]
    for path in sorted((CONF / group).glob("*.yaml")):
        head = path.read_text(encoding="utf-8").removeprefix("# @package _global_\n#\n")
        comment = re.match(r"(?:# .*\n)*", head)[0].replace("#", " ")
        rows.append(f"| `{path.stem}` | {in_cell(comment.removeprefix('  Question:'))} |")
    return "\n".join(rows)


def in_cell(text: str) -> str:
    """Escape what would end a table's cell."""
    return " ".join(text.split()).replace("|", "\\|")


# The commands


def commands() -> str:
    """Write a section for each command, from what Click knows of it."""
    context = click.Context(main, info_name="nnlab")
    lines = []
    for name in main.list_commands(context):
        command = main.get_command(context, name)
        assert command is not None
        inner = click.Context(command, info_name=name, parent=context)
        usage = " ".join(["nnlab", name, *command.collect_usage_pieces(inner)])
        lines += [f"## {name}", "", "```", usage, "```", "", paragraphs(command.help or ""), ""]
        rows = [f"| `{left}` | {in_cell(right)} |" for left, right in options_of(inner)]
        lines += ["| option | |", "|---|---|", *rows, ""]
    return "\n".join(lines)


def paragraphs(text: str) -> str:
    """Join the lines of each paragraph, as Click does."""
    return "\n\n".join(" ".join(part.split()) for part in text.strip().split("\n\n"))


def options_of(context: click.Context) -> Iterator[tuple[str, str]]:
    """Yield how each option is written, and what its help says."""
    for parameter in context.command.params:
        record = parameter.get_help_record(context)
        if isinstance(parameter, click.Option) and record is not None:
            yield record


# The tour


def notebook(path: Path) -> str:
    """Turn a notebook into Markdown: its text, its code, and the outputs that it holds."""
    parts = []
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source)
            continue
        parts.append(f"```python\n{source}\n```")
        parts += [shown(output) for output in cell["outputs"]]
    return "\n\n".join(part for part in parts if part) + "\n"


def shown(output: dict[str, Any]) -> str:
    """Turn one output of a cell into Markdown."""
    if output["output_type"] == "stream":
        return f"```text\n{''.join(output['text']).rstrip()}\n```"
    data = output.get("data", {})
    if "image/png" in data:
        image = "".join(data["image/png"]).strip().replace("\n", "")
        return f'<img alt="Output of this cell" src="data:image/png;base64,{image}">'
    if "text/markdown" in data:
        return "".join(data["text/markdown"])
    if "text/html" in data:
        body = re.sub(r"<style.*?</style>", "", "".join(data["text/html"]), flags=re.DOTALL)
        return re.sub(r"\n\s*", "", body)
    return f"```text\n{''.join(data.get('text/plain', []))}\n```"
