"""Run as an agent: ordinary work of programs that bring settings, devices or memory. Prints JSON."""

import ctypes
import mmap
import os
import shutil
import socket
import subprocess
import tempfile
import time
from multiprocessing import shared_memory

from tests.adversary.attempting import attempt, report

MISSING = "not installed"
MIB = 1 << 20
JAVA = """
public class A {
    public static void main(String[] words) throws Exception {
        System.out.println(java.util.Collections.list(
            java.net.NetworkInterface.getNetworkInterfaces()).get(0).getName());
    }
}
"""

FAULTY = """
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
int shared;
void *add(void *unused) { for (int i = 0; i < 1000; i++) shared++; return 0; }
int main(int count, char **words) {
    pthread_t other;
    char *room = malloc(10);
    room[count > 1 ? 10 : 9] = 1;
    pthread_create(&other, 0, add, 0);
    if (count > 1) add(0);
    pthread_join(other, 0);
    puts("right");
    return 0;
}
"""


def printed(*command: str) -> str:
    """What a program prints, with its errors; or that it is not there."""
    if shutil.which(command[0]) is None:
        return MISSING
    done = subprocess.run(command, stdout=-1, stderr=-2, text=True, timeout=100)
    return f"{done.stdout.strip()}{done.returncode or ''}"


@attempt
def java() -> object:
    directory = tempfile.mkdtemp()
    with open(f"{directory}/A.java", "w") as file:
        file.write(JAVA)
    return printed("java", f"{directory}/A.java")


@attempt
def node() -> object:
    return printed("node", "-p", "Object.keys(require('os').networkInterfaces()).join()")


@attempt
def fonts() -> object:
    said = printed("fc-list")
    return said if said == MISSING else ["rror" in said, len(said.splitlines()) > 0]


@attempt
def plots() -> object:
    code = (
        "import warnings; warnings.simplefilter('error')\n"
        "import matplotlib; matplotlib.use('agg'); import matplotlib.pyplot as p\n"
        "p.plot([1, 2]); p.title('x'); p.savefig('/tmp/x.png'); print('drawn', end='')\n"
    )
    said = printed("python3", "-c", code)
    return MISSING if "No module named 'matplotlib'" in said else said


@attempt
def shared_memory_of_100_mib() -> object:
    shared = shared_memory.SharedMemory(create=True, size=100 * MIB)
    view = shared.buf
    assert view is not None
    for at in range(0, len(view), mmap.PAGESIZE):
        view[at] = 1
    del view
    shared.close()
    shared.unlink()
    return "done"


@attempt
def temporary_file_of_300_mib() -> object:
    with tempfile.NamedTemporaryFile(dir="/tmp") as file:
        os.posix_fallocate(file.fileno(), 0, 300 * MIB)
    return "done"


@attempt
def more_than_there_is_room_for() -> object:
    with tempfile.NamedTemporaryFile(dir="/dev/shm") as file:
        os.posix_fallocate(file.fileno(), 0, 1 << 40)
    return "done"


def sanitized(kind: str, fault: str) -> object:
    """What a program says that is right, and whether the fault of one that is not is found."""
    if shutil.which("gcc") is None:
        return MISSING
    directory = tempfile.mkdtemp()
    with open(f"{directory}/a.c", "w") as file:
        file.write(FAULTY)
    built = printed("gcc", "-g", f"-fsanitize={kind}", "-o", f"{directory}/a", f"{directory}/a.c")
    if "cannot find" in built:
        return MISSING
    run = f"{directory}/a"
    return built or [printed(run), fault in printed(run, "wrong")]


@attempt
def address_sanitizer() -> object:
    return sanitized("address", "heap-buffer-overflow")


@attempt
def thread_sanitizer() -> object:
    return sanitized("thread", "data race")


@attempt
def pictures() -> object:
    """ImageMagick finds its settings, and draws."""
    tool = shutil.which("magick") or shutil.which("convert")
    if tool is None or not printed(tool, "-version").startswith("Version: ImageMagick"):
        return MISSING
    font = "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"
    words = ["-font", font, "-draw", "text 5,15 'Hi'"] if os.path.exists(font) else []
    said = printed(tool, "-size", "60x20", "xc:white", *words, "/tmp/picture.png")
    with open("/tmp/picture.png", "rb") as file:
        return [said, file.read(4)[1:].decode()]


@attempt
def r() -> object:
    return printed("Rscript", "-e", "cat(sum(1:10), nchar(tempdir()) > 0)")


@attempt
def interfaces() -> object:
    return socket.if_nameindex()


@attempt
def start_times_by_psutil() -> object:
    code = "import psutil, time; print(abs(time.time() - psutil.Process().create_time()) < 600, end='')"
    said = printed("/usr/bin/python3", "-c", code)
    return MISSING if "No module named 'psutil'" in said else said


@attempt
def processors() -> object:
    """Programs of every kind count those that they may run on."""
    count = str(len(os.sched_getaffinity(0)))
    found = {printed("nproc")}
    if shutil.which("node"):
        found.add(printed("node", "-p", "os.availableParallelism()"))
    return found == {count}


@attempt
def start_times() -> object:
    """Of process 1, as ps tells it: seconds until now. A warm one may have waited for its agent."""
    if shutil.which("ps") is None:
        return MISSING
    began = subprocess.check_output(["ps", "-o", "lstart=", "-p", "1"], text=True).strip()
    age = time.time() - time.mktime(time.strptime(began, "%a %b %d %H:%M:%S %Y"))
    return -5 < age < 3600


@attempt
def looks_up_ipv4_where_an_interface_has_it() -> object:
    flags = socket.AI_ADDRCONFIG
    rows = socket.getaddrinfo("api.test", 80, socket.AF_INET, socket.SOCK_STREAM, 0, flags)
    return str(rows[0][4][0]).startswith("198.")


@attempt
def watches_files() -> object:
    libc = ctypes.CDLL(None, use_errno=True)
    watch = libc.inotify_init1(0)
    if libc.inotify_add_watch(watch, b"/workspace", 0x100) < 0:
        raise OSError(ctypes.get_errno(), "")
    with open(f"/workspace/{os.getpid()}", "w"):
        pass
    return len(os.read(watch, 4096)) > 0


report()
