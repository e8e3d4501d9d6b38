"""The directive ``{generated} NAME``: a part of a page that is made from the code.

``TABLES`` has the names. Each function returns Markdown, so that what it writes is read, linked
and styled like the rest of the page.
"""

import catalog_tables
import config_tables
from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

TABLES = {
    "primitives": catalog_tables.primitives,
    "mappers": catalog_tables.mappers,
    "displacements": catalog_tables.displacements,
    "presets": config_tables.presets,
    "recipes": config_tables.recipes,
    "networks": config_tables.networks,
    "network-options": config_tables.network_options,
    "generate-config": config_tables.generate_config,
    "classification-config": config_tables.classification_config,
    "train-config": config_tables.train_config,
    "classify-config": config_tables.classify_config,
    "run-options": config_tables.run_options,
}


class Generated(SphinxDirective):
    """Puts what a function of ``TABLES`` returns in its place."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """The parsed Markdown; an unknown name is an error of the page."""
        name = self.arguments[0]
        if name not in TABLES:
            raise self.error(f"nothing is generated as {name!r}; there are {', '.join(TABLES)}.")
        lines = StringList(TABLES[name]().splitlines(), source=f"generated {name}")
        parent = nodes.Element()
        self.state.nested_parse(lines, self.content_offset, parent, match_titles=True)
        return parent.children


def setup(app: Sphinx) -> dict[str, bool]:
    """Registers the directive."""
    app.add_directive("generated", Generated)
    return {"parallel_read_safe": True}
