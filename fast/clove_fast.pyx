"""Requests on a Unix socket: received, parsed, answered and sent in one call.

It does what clove.kernel.connection does for a connection on which nothing waits, and leaves to that
whatever is unusual (docs/compiled.md). The buffers are shared by all calls: one that is made while
another is under way gives up (LEFT), so that no buffer is used by two. The interpreter's lock is held
throughout, but for what the functions do that are called. `fd` is not used once they were: they may
have closed the connection, and another one may have the number.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec

cdef extern from *:
    """
    #include <sys/socket.h>
    #if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
    #error "headers are copied as they are: this is for little-endian processors"
    #endif
    """
    struct iovec:
        void *iov_base
        size_t iov_len
    struct msghdr:
        iovec *msg_iov
        size_t msg_iovlen
        int msg_flags
    ssize_t recv(int, void *, size_t, int)
    ssize_t recvmsg(int, msghdr *, int)
    ssize_t send(int, const void *, size_t, int)
    int MSG_CTRUNC, MSG_DONTWAIT, MSG_NOSIGNAL, MSG_PEEK
    const char *CLOVE_VERSION  # setup.py defines it

__version__ = CLOVE_VERSION.decode()

FAILED, LEFT = -1, -2

cdef enum:
    HEADER = 17
    MAGIC = 0x41474E54
    NOOP = 0
    CONTROL = 0xFD  # from this opcode on requests concern the connection itself
    TAG = 8
    SMALL = 4096  # bytes of a request with a tag that is not counted (clove.kernel.connection)
    ROOM = 1 << 16
    REPLIES = 2 * ROOM

cdef uint64_t MOST_TAG = (<uint64_t>1 << 62) - 1

cdef packed struct Header:
    uint32_t magic
    uint32_t agent_id
    uint8_t opcode
    uint64_t size

cdef uint8_t received[ROOM]
cdef uint8_t replies[REPLIES]
cdef size_t filled = 0  # bytes of replies that are gathered
cdef bint busy = False
cdef object gathered_for = None  # the sender of the call that is under way


cdef double seconds() noexcept:
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC, &now)
    return now.tv_sec + now.tv_nsec * 1e-9


cdef ssize_t receive(int fd, bint peeks) noexcept:
    """Read; how many bytes, or one of the results of `serve` if there are none to be served."""
    cdef iovec piece
    cdef msghdr message
    cdef ssize_t size = ROOM
    if peeks:  # a read would drop descriptors, which takes as long as the peer likes
        memset(&message, 0, sizeof(message))
        piece.iov_base, piece.iov_len = received, ROOM
        message.msg_iov, message.msg_iovlen = &piece, 1
        size = recvmsg(fd, &message, MSG_PEEK | MSG_DONTWAIT)
        if size > 0 and message.msg_flags & MSG_CTRUNC:
            return -2  # LEFT
    if size > 0:
        size = recv(fd, received, size, MSG_DONTWAIT)
    if size < 0:
        return 0 if errno == EAGAIN or errno == EINTR else -1  # FAILED
    return size or -2  # LEFT


cdef bint is_whole(Header *header, size_t at, size_t end, uint64_t limit) noexcept:
    """Whether a whole request is there, which does not concern the connection itself."""
    if end - at < HEADER:
        return False
    memcpy(header, received + at, HEADER)
    cdef bint usual = header.magic == MAGIC and header.opcode < CONTROL and header.size <= limit
    return usual and header.size <= end - at - HEADER


cdef bint is_tagged(const uint8_t *payload, uint64_t size, running) except -1:
    """Whether a NOOP's payload has a tag of no request in work, and is not large."""
    cdef uint64_t tag
    if size < TAG or size > TAG + SMALL:
        return False
    memcpy(&tag, payload, TAG)
    return 0 < tag <= MOST_TAG and not (running and tag in running)


cdef int flush(sender, int fd=-1) except -1:
    """Send what is gathered; the sender gets what the socket does not take, and finds out why."""
    global filled
    cdef size_t size = filled
    cdef ssize_t sent = 0
    filled = 0
    if fd >= 0 and size:
        sent = max(send(fd, replies, size, MSG_DONTWAIT | MSG_NOSIGNAL), 0)
    if <size_t>sent < size:
        sender.send((<char *>replies)[sent:size])
    return 0


cdef bint put(const Header *header, const uint8_t *payload, sender) except -1:
    """Gather a reply; whether the sender was called, because there was no room for it."""
    global filled
    cdef size_t size = HEADER + header.size
    cdef bint full = size > REPLIES - filled
    if full:
        flush(sender)
        if size > REPLIES:
            sender.send((<char *>header)[:HEADER] + (<char *>payload)[:header.size])
            return True
    memcpy(replies + filled, header, HEADER)
    memcpy(replies + filled + HEADER, payload, header.size)
    filled += size
    return full


cdef serve_received(int fd, connection, answer, uint64_t limit, double turn, running, size_t end):
    global filled, gathered_for
    cdef Header header
    cdef size_t at = 0
    cdef long served = 0, noops = 0
    cdef bint called = False, late = False
    cdef double until = 0
    cdef const uint8_t *payload
    principal, sender, held = connection.principal, connection.sender, None
    cdef uint32_t agent_id = principal.agent_id
    filled, gathered_for = 0, sender
    while is_whole(&header, at, end, limit):
        payload = received + at + HEADER
        if header.opcode == NOOP:
            if running is not None and not is_tagged(payload, header.size, running):
                break
            noops += 1
        at += HEADER + header.size
        served += 1
        if header.opcode != NOOP:
            if not called:
                called, until = True, seconds() + turn
            principal.syscalls += noops
            noops = 0
            reply = answer(header.opcode, (<char *>payload)[:header.size])
            if type(reply) is not bytes:
                held = reply
                break
            header.size = PyBytes_GET_SIZE(reply)
            payload = <uint8_t *>PyBytes_AS_STRING(reply)
        header.agent_id = agent_id
        if put(&header, payload, sender) or header.opcode != NOOP:
            late = seconds() > until
            if late or connection.closing or sender.congested:
                break
    principal.syscalls += noops
    flush(sender, -1 if called else fd)
    return served if at == end and held is None else (served, (<char *>received)[at:end], late, held)


def serve(int fd, connection, answer, uint64_t limit, double turn, running, bint peeks):
    """Read once, and serve what came as far as nothing unusual is met.

    @param connection: has C{principal}, C{closing} and C{sender}, as KernelConnection has.
    @param answer: takes opcode and payload; gives the reply's payload. If it gives anything else, nothing
        more is served.
    @param limit: bytes that a payload may have, a tag included.
    @param turn: seconds after which others are to be served.
    @param running: tags of requests in work; None on version 1, which has no tags.
    @param peeks: the peer may attach descriptors, which must not be dropped here.
    @return: the number of requests that were served; if there is more to do, with the bytes that are
        left, whether C{turn} is over, and what C{answer} gave in place of a reply. Or FAILED, or LEFT:
        nothing was read, since the peer sends no more, descriptors are attached, or this is a call
        within another one.
    """
    global busy, gathered_for
    if busy:
        return LEFT
    busy = True
    try:
        end = receive(fd, peeks)
        return end if end <= 0 else serve_received(fd, connection, answer, limit, turn, running, end)
    finally:
        busy, gathered_for = False, None


def send_gathered(sender):
    """Send the replies that a call under way has gathered for a sender: what it is to send next comes after them."""
    if sender is gathered_for and filled:
        flush(sender)
