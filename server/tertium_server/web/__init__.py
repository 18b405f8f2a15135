"""Pages for machines and people over HTTP: metrics, health."""
