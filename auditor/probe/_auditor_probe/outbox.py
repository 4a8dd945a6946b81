"""Holds back lines whose digests an accelerator has yet to deliver, so that nothing waits for it."""

MASK = (1 << 64) - 1


class Outbox:
    """Sends lines in order, each as soon as all of its digests are in main memory."""

    def __init__(self, torch):
        self._torch = torch
        self._held = []

    def post(self, pieces, send):
        """Calls ``send(known)`` now, or once ``pieces`` are here; ``known(piece)`` gives a piece's 8 bytes."""
        remote = [p for p in pieces if not isinstance(p, bytes)]
        if not remote and not self._held:
            send(_itself)
            return
        host = event = None
        if remote:
            torch = self._torch
            device = remote[0].device
            packed = torch.stack([p.to(device) for p in remote])
            if device.type == "cuda":
                host = torch.empty(packed.shape, dtype=torch.int64, pin_memory=True)
                host.copy_(packed, non_blocking=True)
                event = torch.cuda.Event()
                event.record()
            else:
                host = packed.cpu()
        self._held.append((remote, host, event, send))
        self.drain(False)

    def drain(self, wait):
        """Sends what has arrived; with ``wait``, everything."""
        while self._held:
            remote, host, event, send = self._held[0]
            if event is not None and not event.query():
                if not wait:
                    return
                event.synchronize()
            self._held.pop(0)
            values = {}
            if remote:
                values = {id(p): (v & MASK).to_bytes(8, "little") for p, v in zip(remote, host.tolist())}
            send(lambda piece, values=values: piece if isinstance(piece, bytes) else values[id(piece)])

    def in_child(self):
        """What a forked child inherits is its parent's to send."""
        self._held = []


def _itself(piece):
    return piece
