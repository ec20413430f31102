"""VolatileDisk: what is on it is what is on the real one, and what is safe is what was synced."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

from tests.faults.system_calls import calls, trace
from tests.faults.volatile_disk import File, Folder, VolatileDisk

PROGRAM = """
import os, shutil, sys, threading
root = sys.argv[1]
def sync_folder(path):
    handle = os.open(path, os.O_RDONLY); os.fsync(handle); os.close(handle)
os.makedirs(root + "/a/b")
file = os.open(root + "/a/one", os.O_RDWR | os.O_CREAT)
os.posix_fallocate(file, 0, 10000)
os.pwritev(file, [b"head", bytearray(b"tail\\n")], 5000)
os.fdatasync(file)
os.pwrite(file, b"unsynced", 100)
with open(root + "/a/two", "wb") as plain:
    plain.write(b"first"); plain.flush(); os.fsync(plain.fileno()); plain.write(b", second")
sync_folder(root); sync_folder(root + "/a")
os.replace(root + "/a/two", root + "/a/three")
log = os.open(root + "/a/log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
for i in range(3):
    os.write(log, b"line %d\\n" % i)
os.ftruncate(file, 7000)
os.fsync(log)
os.mkdir(root + "/gone"); open(root + "/gone/x", "w").close(); shutil.rmtree(root + "/gone")
threads = [threading.Thread(target=os.fdatasync, args=(log,)) for _ in range(4)]
[t.start() for t in threads]; [t.join() for t in threads]
"""


def tree(folder: Folder, prefix: str = "") -> dict[str, bytes | None]:
    out: dict[str, bytes | None] = {}
    for name, node in folder.now.items():
        path = prefix + name.decode()
        out[path] = bytes(node.now) if isinstance(node, File) else None
        if isinstance(node, Folder):
            out |= tree(node, path + "/")
    return out


def test_it_holds_what_the_real_one_holds_and_loses_what_was_not_synced(tmp_path: Path) -> None:
    root, log = tmp_path / "disk", tmp_path / "calls"
    root.mkdir()
    subprocess.run(trace(log, [sys.executable, "-c", PROGRAM, root]), check=True)
    disk = VolatileDisk(root)
    for call in calls(log):
        disk.take(call)
    real = {
        p.relative_to(root).as_posix(): p.read_bytes() if p.is_file() else None
        for p in root.rglob("*")
    }
    assert tree(disk.root) == real
    assert set(real) == {"a", "a/b", "a/one", "a/three", "a/log"}
    left = dict(disk.left())
    one = bytearray(10000)
    one[5000:5009] = b"headtail\n"
    # the new name, the appended log and the shorter length are gone: nobody synced them
    assert left == {"a": None, "a/b": None, "a/one": bytes(one), "a/two": b"first"}


def test_a_kinder_disk_keeps_some_of_it(tmp_path: Path) -> None:
    root, log = tmp_path / "disk", tmp_path / "calls"
    root.mkdir()
    subprocess.run(trace(log, [sys.executable, "-c", PROGRAM, root]), check=True)
    disk = VolatileDisk(root)
    for call in calls(log):
        disk.take(call)
    several = [dict(disk.left(random.Random(seed))) for seed in range(60)]
    names = {name for left in several for name in left}
    assert {"a/two", "a/three", "a/log", "gone"} < names
    assert {left["a/one"][5000:5009] for left in several} == {b"headtail\n"}
    assert {left["a/one"][100:108] for left in several} == {bytes(8), b"unsynced"}
    assert {len(left["a/one"]) for left in several} == {7000, 10000}


def test_a_sync_covers_only_what_had_ended_when_it_began() -> None:
    file = File()
    file.write(3, 0, b"abc")
    file.write(7, 3, b"def")
    file.sync(begun=5)
    assert file.left(None) == b"abc"
    file.sync(begun=8)
    assert file.left(None) == b"abcdef"
