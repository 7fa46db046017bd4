"""Use cases: gather facts through ports, let core decide, save the decision."""
