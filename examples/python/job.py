"""A job that reports to Rollcall with the copied client `rollcall.py`."""

import os
import sys

import rollcall

ORDERS = int(os.environ.get("ORDERS", "10"))
BROKEN = int(os.environ.get("BROKEN", "4"))
DIE_AT = int(os.environ.get("DIE_AT", "0"))


def process(order: int) -> None:
    """Do the work; raises LookupError for an order that cannot be processed."""
    if order == BROKEN:
        raise LookupError("no such customer")
    print(f"order {order}", flush=True)


def main() -> None:
    """Go on where the last run stopped, and say how it went."""
    for letter in rollcall.requeued():
        print(f"again {letter['item']}", flush=True)
        rollcall.handled(letter)
    start = rollcall.checkpointed(default={"order": 0, "failed": 0})
    failed = start["failed"]
    for order in range(start["order"] + 1, ORDERS + 1):
        if order == DIE_AT:
            rollcall.error(f"died at order {order}", type="crash", **{"class": "transient"})
            sys.exit(1)
        try:
            process(order)
        except LookupError as error:
            failed += 1
            # What is neither done nor kept is not passed over: the next run begins with it.
            if not rollcall.dead_letter(f"order-{order}", {"order": order}, str(error)):
                sys.exit(f"order {order} is neither done nor kept")
        rollcall.progress(done=order, total=ORDERS, stage="orders", counters={"failed": failed})
        rollcall.checkpoint({"order": order, "failed": failed})
    rollcall.result(
        "partial" if failed else "succeeded",
        message=f"{failed} of {ORDERS} orders failed",
        counters={"failed": failed},
    )


if __name__ == "__main__":
    main()
