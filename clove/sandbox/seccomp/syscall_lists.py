"""Which system calls a sandboxed program may make, by name. Pure data.

Everything that is in none of the lists, calls of later Linux versions above
all, is answered with ENOSYS, as on a Linux that does not have it: libraries
fall back then. `docs/sandbox.md` says why the list is one of what is allowed.
"""

from __future__ import annotations

from typing import Final

__all__ = ["ALLOWED", "CHECKED", "REFUSED"]

_FILES: Final = """
    access chdir chown close close_range copy_file_range dup dup2 dup3 faccessat faccessat2
    fadvise64 fallocate fchdir fchown fchownat fdatasync fgetxattr flistxattr flock
    fremovexattr fsetxattr fstat fstatfs fsync ftruncate futimesat getcwd getdents getdents64
    getxattr getxattrat inotify_add_watch inotify_init inotify_init1 inotify_rm_watch lchown
    lgetxattr link linkat listxattr listxattrat llistxattr lremovexattr lseek lsetxattr lstat mkdir
    mkdirat newfstatat openat2 pread64 preadv preadv2 pwrite64 pwritev pwritev2 read readahead readlink
    readlinkat readv removexattr removexattrat rename renameat renameat2 rmdir sendfile setxattr
    setxattrat splice stat statfs statx symlink symlinkat sync sync_file_range syncfs tee truncate
    umask unlink unlinkat utime utimensat utimes write writev
"""
_DESCRIPTORS: Final = """
    epoll_create epoll_create1 epoll_ctl epoll_pwait epoll_pwait2 epoll_wait eventfd eventfd2
    pipe pipe2 poll ppoll pselect6 select signalfd signalfd4 timerfd_create
    timerfd_gettime timerfd_settime
"""
_SOCKETS: Final = """
    accept accept4 bind connect getpeername getsockname listen recvfrom recvmmsg recvmsg
    sendmmsg sendmsg sendto shutdown
"""
_MEMORY: Final = """
    brk madvise map_shadow_stack membarrier mincore mlock mlock2 mlockall mprotect mremap mseal
    msync munlock munlockall munmap pkey_alloc pkey_free pkey_mprotect
"""
_PROCESSES: Final = """
    arch_prctl capget capset execve execveat exit exit_group fork getegid geteuid getgid getgroups
    getpgid getpgrp getpid getppid getpriority getresgid getresuid getrlimit getrusage getsid gettid
    getuid ioprio_get ioprio_set kill pidfd_open pidfd_send_signal prctl restart_syscall
    sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getattr sched_getparam
    sched_getscheduler sched_rr_get_interval sched_setaffinity sched_setparam
    sched_setscheduler sched_yield setfsgid setfsuid setgid setgroups setpgid setpriority setregid
    setresgid setresuid setreuid setsid setuid tgkill times tkill uname uprobe uretprobe
    vfork wait4 waitid
"""
_THREADS: Final = """
    futex futex_requeue futex_wait futex_waitv futex_wake get_robust_list getcpu rseq
    set_robust_list set_tid_address
"""
_SIGNALS: Final = """
    pause rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend
    rt_sigtimedwait rt_tgsigqueueinfo sigaltstack
"""
_TIME: Final = """
    alarm clock_getres clock_gettime clock_nanosleep getitimer gettimeofday nanosleep setitimer
    sysinfo time timer_create timer_delete timer_getoverrun timer_gettime timer_settime
"""
_BETWEEN_PROCESSES: Final = """
    mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedsend mq_unlink msgctl msgget msgrcv
    msgsnd semctl semget semop semtimedop shmat shmctl shmdt
"""
_CONFINING_ITSELF: Final = """
    getrandom landlock_add_rule landlock_create_ruleset landlock_restrict_self seccomp
"""

ALLOWED: Final = frozenset(
    " ".join(
        (
            _FILES,
            _DESCRIPTORS,
            _SOCKETS,
            _MEMORY,
            _PROCESSES,
            _THREADS,
            _SIGNALS,
            _TIME,
            _BETWEEN_PROCESSES,
            _CONFINING_ITSELF,
        )
    ).split()
)
"""Whatever the arguments."""

CHECKED: Final = {
    "clone": "clone",
    "unshare": "unshare",
    "socket": "socket",
    "socketpair": "socket",
    "getsockopt": "getsockopt",
    "setsockopt": "setsockopt",
    "ioctl": "ioctl",
    "fcntl": "fcntl",
    "memfd_create": "memfd_create",
    "mmap": "mmap",
    "shmget": "shmget",
    "personality": "personality",
    "setrlimit": "setrlimit",
    "prlimit64": "prlimit64",
    "mknod": "mode in 1, of a node",
    "mknodat": "mode in 2, of a node",
    "chmod": "mode in 1",
    "fchmod": "mode in 1",
    "fchmodat": "mode in 2",
    "fchmodat2": "mode in 2",
    "creat": "mode in 1",
    "open": "flags in 1, mode in 2",
    "openat": "flags in 2, mode in 3",
}
"""By their arguments: name of the call to name of the check in `arguments.py`."""

_REFUSED: Final = """
    acct add_key adjtimex bpf chroot clock_adjtime clock_settime delete_module fanotify_init
    fanotify_mark finit_module fsconfig fsmount fsopen fspick init_module ioperm iopl kcmp
    kexec_file_load kexec_load keyctl lookup_dcookie migrate_pages modify_ldt mount mount_setattr
    move_mount move_pages name_to_handle_at nfsservctl open_by_handle_at open_tree open_tree_attr
    perf_event_open pidfd_getfd pivot_root process_madvise process_vm_readv process_vm_writev ptrace
    quotactl quotactl_fd reboot request_key setdomainname sethostname setns settimeofday swapoff
    swapon syslog umount2 uselib userfaultfd vhangup
"""

REFUSED: Final = frozenset(_REFUSED.split())
"""With EPERM: programs know these calls and take that answer for what it is."""
