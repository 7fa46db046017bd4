"""`rollcall channel test`: send a message to an AlertChannel, and say what came back."""

import argparse
import asyncio
import uuid

from rollcall import clock, config
from rollcall.cli import arguments, output
from rollcall.core import errors
from rollcall.services import ports, trial

_EXAMPLE = """example, in a pod of the operator:
  rollcall channel test slack-data"""


def add_parser(add: arguments.Add) -> None:
    """Add the commands to the command line's parser."""
    parser = arguments.command(add, "channel", "try AlertChannels", _EXAMPLE)
    actions = parser.add_subparsers(dest="channel_command", required=True, metavar="ACTION")
    test = arguments.command(
        actions.add_parser, "test", "send a test message and say what came back"
    )
    test.add_argument("name", metavar="NAME", help="of the AlertChannel")


def run(options: argparse.Namespace, settings: config.Settings) -> None:
    """Run the command; what is not taken is an error with the receiver's answer."""
    delivery = asyncio.run(_test(options.name, settings))
    status = delivery.detail.get("status")
    answer = f", it answered {status}" if status else ""
    lines = [f"AlertChannel {options.name} works: the message was taken{answer}"]
    if delivery.error:
        lines.append(f"with an error: {delivery.error}")
    output.show(map(output.printable, lines))


async def _test(name: str, settings: config.Settings) -> ports.Delivery:
    # Only here: most commands need no cluster.
    from rollcall.cluster import channels, client
    from rollcall.notify import http, registry

    async with (
        await client.KubeClient.connect(context=settings.kube_context) as kube,
        http.Client(now=clock.now, allowed=settings.allowed_targets) as web,
    ):
        known = channels.Channels(
            api=kube,
            namespace=settings.namespace,
            factories=registry.factories(web, clock.now),
            clock=clock.now,
        )
        sender = await known.sender(name)
        if sender is None:
            raise errors.NotFound(f"AlertChannel {name} does not exist")
        delivery = await trial.send(
            sender,
            channel=name,
            cluster=settings.cluster,
            namespace=settings.namespace,
            identifier=uuid.uuid4(),
            now=clock.now(),
            stays=name in known.of_kinds(registry.STAYS),
        )
        broken = known.problem(name)
        if broken:
            raise errors.InvalidSpec(broken.reason, f"the message was taken, but {broken}")
        return delivery
