"""Requests on Unix sockets: received, parsed, answered and sent, a whole turn of the reactor's loop in one call.

It does what clove.kernel.connection does for a connection on which nothing waits, and leaves to that what is unusual
(docs/compiled.md). All connections share the buffers: one that is read while another is, is left to its channel. A
socket's number is not used after a function in Python was `called`: that may have closed it, and another may have it.
"""

from cpython.time cimport monotonic
from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset
from posix.uio cimport iovec
from twisted.internet.main import CONNECTION_LOST

cdef extern from *:
    """
    #include <sys/socket.h>
    #if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
    #error "headers are copied as they are: this is for little-endian processors"
    #endif
    """
    struct msghdr:
        iovec *msg_iov
        int msg_iovlen, msg_flags
    ssize_t recv(int, void *, size_t, int)
    ssize_t recvmsg(int, msghdr *, int)
    ssize_t send(int, const void *, size_t, int)
    int MSG_CTRUNC, MSG_DONTWAIT, MSG_NOSIGNAL, MSG_PEEK
    const char *CLOVE_VERSION  # setup.py defines it

__version__ = CLOVE_VERSION.decode()
cdef enum:
    FAILED = -1  # the connection is lost
    LEFT = -2  # nothing was read: the end has come, descriptors are attached, or another read is under way
    MAGIC = 0x41474E54
    HEADER = 17
    NOOP = 0
    CONTROL = 0xFD  # from this opcode on requests concern the connection itself
    TAG = 8
    SMALL = 4096  # bytes of a request with a tag that is not counted (clove.kernel.connection)
    ROOM = 1 << 16
    REPLIES = 2 * ROOM
cdef packed struct Header:
    uint32_t magic, agent_id
    uint8_t opcode
    uint64_t size
cdef uint8_t received[ROOM], replies[REPLIES]
cdef size_t filled = 0  # bytes of replies that are gathered
cdef Reader reading = None  # whose read is under way
cdef bint called = False  # a function in Python was, in that read

cdef ssize_t receive(int fd, bint peeks) noexcept:
    """Read; how many bytes, or what is the matter."""
    cdef iovec piece
    cdef msghdr message
    cdef ssize_t size = ROOM
    if peeks:  # a read would drop descriptors, which takes as long as the peer likes
        memset(&message, 0, sizeof(message))
        piece.iov_base, piece.iov_len = received, ROOM
        message.msg_iov, message.msg_iovlen = &piece, 1
        size = recvmsg(fd, &message, MSG_PEEK | MSG_DONTWAIT)
        if size > 0 and message.msg_flags & MSG_CTRUNC:
            return LEFT
    if size > 0:
        size = recv(fd, received, size, MSG_DONTWAIT)
    if size < 0:
        return 0 if errno == EAGAIN or errno == EINTR else FAILED
    return size or LEFT

cdef class Reader:
    """Reads a connection in place of its channel (clove.kernel.compiled.Compiled has what it takes)."""
    cdef int fd, few
    cdef bint peeks, proven  # proven: nothing waited, and all that was read since then was answered
    cdef uint64_t limit
    cdef double turn
    cdef dict running  # requests in work, by tag; None on version 1
    cdef object connection, flow, buffered, sender, time, answer, usual, go_on

    def __init__(self, connection, descriptor, time, go_on):
        self.fd, self.peeks = descriptor
        self.connection, self.flow, self.sender = connection, connection.flow, connection.sender
        self.buffered, self.time, self.go_on = self.flow.buffered, time, go_on
        self.usual = connection.channel.read_through(self)

    def __call__(self):
        """Read once; why the connection is to be ended, or None."""
        if not self.is_free():
            framing = self.connection.framing
            self.running, self.answer, self.few = framing.running, framing.answer, framing.few
            self.limit, self.turn = self.connection.decoder.max_payload, self.flow.turn_length
            self.proven = self.flow.is_free() and not (self.running and len(self.running) >= self.few)
        return self.read() if self.is_free() else self.usual()

    cdef bint is_free(self) except -1:
        if not self.proven or self.running and len(self.running) >= self.few:
            return False
        return not (self.sender.congested or self.connection.closing or self.buffered.counted)

    cdef read(self):
        global called, filled, reading
        cdef ssize_t end = LEFT
        if reading is None:
            reading, filled = self, 0
            try:
                end = receive(self.fd, self.peeks)
                left = self.serve(end) if end > 0 else None
            finally:
                reading = None
                if called:
                    called = self.time.serving = False
        self.proven = end >= 0 and left is None
        if end < 0:
            return CONNECTION_LOST if end == FAILED else self.usual()
        if left is not None:
            self.go_on(*left)

    cdef bint is_usual(self, const Header *header, size_t room) except -1:
        """Whether a request is whole and not the connection's own; a NOOP of version 2 has a tag, and is small."""
        cdef uint64_t tag = 0
        if room < HEADER or header.magic != MAGIC or header.opcode >= CONTROL or header.size > self.limit:
            return False
        if header.size > room - HEADER or header.opcode != NOOP or self.running is None:
            return header.size <= room - HEADER
        if TAG <= header.size <= TAG + SMALL:
            memcpy(&tag, <uint8_t *>header + HEADER, TAG)
        return tag != 0 and tag >> 62 == 0 and not (self.running and tag in self.running)

    cdef serve(self, size_t end):
        """Serve what was received; what is left of it, if anything is."""
        global called, filled
        cdef Header *header
        cdef size_t at = 0, size, served = 0, noops = 0
        cdef double until = 0
        principal, reply, late = self.connection.principal, b"", False
        cdef uint32_t agent_id = principal.agent_id
        while self.is_usual(<Header *>(received + at), end - at):
            header = <Header *>(received + at)
            header.agent_id, size = agent_id, HEADER + header.size
            at, served = at + size, served + 1
            if header.opcode == NOOP:
                memcpy(replies + filled, header, size)
                filled, noops = filled + size, noops + 1
                continue
            if until == 0:
                called = self.time.serving = True
                until = monotonic() + self.turn
            principal.syscalls, noops = principal.syscalls + noops, 0
            reply = self.answer(header.opcode, (<char *>header)[HEADER:size])
            if type(reply) is not bytes:
                break
            header.size = len(<bytes>reply)
            if header.size > <size_t>REPLIES - HEADER - filled - (end - at):  # NOOPs that follow have room, too
                self.flush()
                self.sender.send((<char *>header)[:HEADER] + reply)
            else:
                memcpy(replies + filled, header, HEADER)
                memcpy(replies + filled + HEADER, <char *><bytes>reply, header.size)
                filled += HEADER + header.size
            late = monotonic() > until
            if late or self.connection.closing or self.sender.congested:
                break
        principal.syscalls += noops
        self.flow.received += served
        self.flush()
        if at < end or type(reply) is not bytes:
            return (<char *>received)[at:end], late, None if type(reply) is bytes else reply

    cdef flush(self):
        """Send what is gathered; the sender gets what the socket does not take, and finds out why."""
        global called, filled
        cdef ssize_t sent = 0, size = filled
        filled = 0
        if size and not called:
            sent = max(send(self.fd, replies, size, MSG_DONTWAIT | MSG_NOSIGNAL), 0)
        if sent < size:
            called = self.time.serving = True
            self.sender.send((<char *>replies)[sent:size])

def serve_ready(list ready, dict selectables, serve, end, failed):
    """Serve the descriptors that are ready, in their order, as clove.loop.turns does in Python."""
    cdef list found = [selectables.get(fd) for fd, event in ready]
    for at, (fd, event) in enumerate(ready):
        selectable = found[at]
        if selectable is None or selectables.get(fd) is not selectable:
            continue
        if event != 1:  # EPOLLIN
            serve(selectable, fd, event)
            continue
        try:
            read = selectable.doRead
            why = (<Reader>read).read() if type(read) is Reader and (<Reader>read).is_free() else read()
        except BaseException as error:
            why = failed(error)
        if why:
            end(selectable, why, True)

def send_gathered(sender):
    """Send what a read under way has gathered for a sender: what it is to send next comes after that."""
    if reading is not None and sender is reading.sender:
        reading.flush()
