"""The Kubernetes side: watches, reconciliation, election, the judge's own reads."""
