"""BLAS kernels that the processor cannot run are refused before NumPy ends the process."""

import pytest
from click.testing import CliRunner
from support.commands import python

from nnlab.cli.main import main
from nnlab.errors import ConfigError
from nnlab.system import processor

HASWELL = "processor\t: 0\nflags\t\t: fpu sse2 avx avx2 fma\n"


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A processor with AVX2 and no AVX-512."""
    info = tmp_path / "cpuinfo"
    info.write_text(HASWELL)
    monkeypatch.setattr(processor, "INFO", info)
    return info


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize("kernels", ["SkylakeX", "SAPPHIRERAPIDS"])
def test_kernels_whose_instructions_the_processor_lacks_are_refused(monkeypatch, kernels):
    monkeypatch.setenv("OPENBLAS_CORETYPE", kernels)
    with pytest.raises(ConfigError, match=f"OPENBLAS_CORETYPE={kernels} .*avx512f, avx512cd"):
        processor.check_kernels()


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize("kernels", ["Haswell", "zen", "Nehalem", "unknown", ""])
def test_kernels_that_it_can_run_and_names_that_openblas_ignores_are_not(monkeypatch, kernels):
    monkeypatch.setenv("OPENBLAS_CORETYPE", kernels)
    processor.check_kernels()


@pytest.mark.parametrize("content", [None, "Features\t: fp asimd\n"])
def test_where_the_processor_tells_no_flags_nothing_is_refused(machine, monkeypatch, content):
    machine.unlink()
    if content is not None:
        machine.write_text(content)
    monkeypatch.setenv("OPENBLAS_CORETYPE", "SkylakeX")
    processor.check_kernels()


@pytest.mark.usefixtures("machine")
def test_a_command_ends_with_a_sentence_and_exit_code_2(monkeypatch):
    monkeypatch.setenv("OPENBLAS_CORETYPE", "SkylakeX")
    done = CliRunner().invoke(main, ["compare"])
    assert done.exit_code == 2
    assert done.stderr.startswith("OPENBLAS_CORETYPE=SkylakeX asks for instructions that this")
    assert done.stderr.count("\n") == 1


def test_in_python_it_is_an_error_before_numpy_is_imported(machine):
    code = (
        "import pathlib, sys, nnlab, nnlab.system.processor as processor\n"
        f"processor.INFO = pathlib.Path({str(machine)!r})\n"
        "try:\n    nnlab.runs\n"
        "except nnlab.NnlabError as error:\n    print('numpy' in sys.modules, error)"
    )
    done = python("-c", code, env={"OPENBLAS_CORETYPE": "SkylakeX"}, check=True)
    assert done.stdout.startswith("False OPENBLAS_CORETYPE=SkylakeX asks for")
