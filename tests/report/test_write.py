import errno
import resource
import signal

import pytest

from brainforge.errors import OutputError
from brainforge.report import write_report
from tests.report.make_result import make_result


@pytest.fixture(scope="module")
def result():
    return make_result(full=False)


def test_writes_one_file(result, tmp_path):
    path = write_report(result, tmp_path / "report.html")
    assert path.read_bytes().startswith(b"<!DOCTYPE html>")
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


def test_result_writes_its_report(result, tmp_path):
    assert result.report(str(tmp_path / "r.html")) == tmp_path / "r.html"


def test_existing_file_is_kept_unless_asked(result, tmp_path):
    path = tmp_path / "report.html"
    path.write_text("mine")
    with pytest.raises(OutputError, match="exists"):
        write_report(result, path)
    assert path.read_text() == "mine"
    write_report(result, path, overwrite=True)
    assert path.stat().st_size > 1_000_000


def test_missing_folder(result, tmp_path):
    with pytest.raises(OutputError, match="does not exist"):
        write_report(result, tmp_path / "no" / "report.html")


@pytest.mark.parametrize("old", [None, "mine"])
def test_full_disk_leaves_nothing_half_written(result, tmp_path, old):
    path = tmp_path / "report.html"
    if old:
        path.write_text(old)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, before[1]))
        with pytest.raises(OutputError, match="cannot write") as caught:
            write_report(result, path, overwrite=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert caught.value.__cause__.errno == errno.EFBIG
    assert [p.name for p in tmp_path.iterdir()] == (["report.html"] if old else [])
    assert not old or path.read_text() == old
