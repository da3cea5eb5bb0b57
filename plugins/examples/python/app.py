"""What this plugin is. Its calls are in `provider.py`, where componentize-py looks for the interface's `Exchange`."""

from wit_world import exports
from wit_world.exports import provider as p
from wit_world.imports.types import Operation


class Provider(exports.Provider):
    def describe(self) -> p.Manifest:
        return p.Manifest(
            name="acme",
            version="0.1.0",
            base_url="https://api.acme.example/v2",
            credential=p.Credential_Header("acme-key"),
            operations=[p.Support(operation=Operation.CHAT_COMPLETIONS, native=None, translated=[])],
            parameters=[],
            # Python takes long to make an instance.
            reusable=True,
        )
