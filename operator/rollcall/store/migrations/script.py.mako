"""${message}.

Expand first, contract one release later: the release before this one runs against the new schema
while it is rolled out. `pre` is safe before the new code starts, `post` only when the old is gone.
"""

from alembic import op

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Describe what becomes of existing rows."""
    ${upgrades if upgrades else "raise NotImplementedError"}


def downgrade() -> None:
    """Describe what is lost."""
    ${downgrades if downgrades else "raise NotImplementedError"}
