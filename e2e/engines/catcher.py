"""The world as an engine sees it that calls home: the other end of its only link. Prints a line for each packet that comes.

A name is answered with this end's addresses, every address is this end's, and a connection is refused, which its first
packet has told by then. Nothing is left out but what a kernel sends by itself to find its neighbours, and what goes on
within a connection. A datagram to port 9 is a mark: it says what comes next.
"""

import socket
import struct
import sys
import threading

EVERY_KIND = 3  # ETH_P_ALL
IPV4, ARP, IPV6 = 0x0800, 0x0806, 0x86DD
TCP, UDP, ICMPV6 = 6, 17, 58
DNS, DISCARD = 53, 9
NEIGHBOURS = {133, 134, 135, 136, 143}  # ICMPv6: routers, neighbours, groups
SYN, ACK = 2, 16
A, AAAA = 1, 28


def name_of(query: bytes) -> tuple[str, int]:
    """The name that is asked for, and where it ends."""
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1 : at + 1 + query[at]].decode("ascii", "replace"))
        at += 1 + query[at]
    return ".".join(labels), at + 1


def transport(protocol: int, to: str, rest: bytes) -> str | None:
    if protocol == TCP:
        return f"tcp {to} {struct.unpack_from('!H', rest, 2)[0]}" if rest[13] & (SYN | ACK) == SYN else None
    if protocol == ICMPV6 and rest[0] in NEIGHBOURS:
        return None
    if protocol != UDP:
        return f"protocol {protocol} to {to}"
    port = struct.unpack_from("!H", rest, 2)[0]
    if port == DNS:
        return f"name {name_of(rest[8:])[0]}"
    return f"mark {rest[8:].decode().strip()}" if port == DISCARD else f"udp {to} {port}"


def describe(frame: bytes) -> str | None:
    """What a frame is, or nothing where it does not count. The header of IPv6 is taken to have no extensions: with some,
    it is another protocol, and counts."""
    kind = struct.unpack_from("!H", frame, 12)[0]
    packet = frame[14:]
    if kind == IPV4:
        length = (packet[0] & 15) * 4
        return transport(packet[9], socket.inet_ntop(socket.AF_INET, packet[16:20]), packet[length:])
    if kind == IPV6:
        # Reports of groups are behind a hop-by-hop header.
        if packet[6] == 0 and packet[40] == ICMPV6 and packet[48] in NEIGHBOURS:
            return None
        return transport(packet[6], socket.inet_ntop(socket.AF_INET6, packet[24:40]), packet[40:])
    return None if kind == ARP else f"frame {kind:#06x}"


def answer_names(addresses: dict[int, bytes]) -> None:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as server:
        server.bind(("::", DNS))
        while True:
            query, client = server.recvfrom(4096)
            end = name_of(query)[1]
            kind = query[end : end + 2]
            address = addresses.get(int.from_bytes(kind, "big"))
            answer = query[:2] + struct.pack("!5H", 0x8180, 1, 1 if address else 0, 0, 0) + query[12 : end + 4]
            if address:
                answer += struct.pack("!H2s2sIH", 0xC00C, kind, query[end + 2 : end + 4], 60, len(address)) + address
            server.sendto(answer, client)


def main() -> None:
    own4, own6 = sys.argv[1:]
    addresses = {A: socket.inet_pton(socket.AF_INET, own4), AAAA: socket.inet_pton(socket.AF_INET6, own6)}
    threading.Thread(target=answer_names, args=(addresses,), daemon=True).start()
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(EVERY_KIND)) as link:
        print("mark listening", flush=True)
        while True:
            frame, (_, _, sort, _, _) = link.recvfrom(65536)
            said = describe(frame) if sort != socket.PACKET_OUTGOING else None
            if said:
                print(said, flush=True)


main()
