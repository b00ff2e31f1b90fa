"""The opener of local files: regular files only, within a size limit, without waiting."""

import os
import socket
import subprocess
import sys
import threading

import pytest

from gradcam_cli.storage.regular_files import (
    FileTooLargeError,
    SpecialFileError,
    open_regular,
    read_regular,
    walk_files,
)


def test_regular_files_and_links_to_them_are_read(tmp_path):
    (tmp_path / "file").write_bytes(b"abc")
    (tmp_path / "link").symlink_to("file")
    assert read_regular(tmp_path / "link", 3) == b"abc"


def test_pipes_sockets_and_devices_are_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        for path, kind in ((tmp_path / "pipe", "pipe"), (tmp_path / "socket", "socket"), ("/dev/zero", "device")):
            with pytest.raises(SpecialFileError, match=f"expected a regular file, got a {kind}"):
                open_regular(path)


def test_a_pipe_that_replaces_the_file_is_refused(tmp_path, monkeypatch):
    """Between the check of the name and the opening."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").touch()
    status = os.stat(tmp_path / "file")
    monkeypatch.setattr("gradcam_cli.storage.regular_files.os.stat", lambda _: status)
    with pytest.raises(SpecialFileError):
        open_regular(tmp_path / "pipe")


def test_directories_are_refused(tmp_path):
    with pytest.raises(IsADirectoryError):
        open_regular(tmp_path)


@pytest.mark.parametrize("name", ["a\0b", "\ud800"])
def test_impossible_names_raise_os_error(name):
    with pytest.raises(OSError, match="invalid file name"):
        open_regular(name)


def test_size_limit(tmp_path):
    """A sparse file of a terabyte is refused before it is read."""
    with open(tmp_path / "sparse", "wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(FileTooLargeError, match="expected at most 1,000 bytes"):
        read_regular(tmp_path / "sparse", 1000)


def test_files_of_unknown_size_are_read_up_to_the_limit():
    """The kernel's files have size 0."""
    assert b"\n" in read_regular("/proc/self/status")
    with pytest.raises(FileTooLargeError, match="got more"):
        read_regular("/proc/self/status", 10)


def test_pipes_of_the_shell_are_read_where_allowed():
    """`<(command)` in bash is the name of a pipe, such as /dev/fd/63."""
    read_end, write_end = os.pipe()
    thread = threading.Thread(target=lambda: (os.write(write_end, b"abc"), os.close(write_end)))
    thread.start()
    assert read_regular(f"/dev/fd/{read_end}", 3, allow_pipe=True) == b"abc"
    thread.join()
    with pytest.raises(SpecialFileError):
        read_regular(f"/dev/fd/{read_end}")
    os.close(read_end)


def test_deep_folders_are_walked(tmp_path):
    """Deeper than Python's recursion limit, in a process with a low one."""
    code = (
        "import os, sys; from gradcam_cli.storage.regular_files import walk_files\n"
        "os.chdir(sys.argv[1])\n"
        "for _ in range(300): os.mkdir('d'); os.chdir('d')\n"
        "open('x', 'w').close(); os.chdir(sys.argv[1]); sys.setrecursionlimit(100)\n"
        "assert list(walk_files('.')) == ['./' + 'd/' * 300 + 'x']"
    )
    subprocess.run([sys.executable, "-c", code, tmp_path], check=True)


def test_links_to_folders_are_not_entered(tmp_path):
    (tmp_path / "in/sub").mkdir(parents=True)
    (tmp_path / "in/loop").symlink_to("../in")
    (tmp_path / "in/sub/x").touch()
    assert sorted(walk_files(tmp_path / "in")) == [str(tmp_path / "in/loop"), str(tmp_path / "in/sub/x")]
