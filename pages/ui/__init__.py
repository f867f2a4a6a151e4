"""What several pages share: session, problems, widgets, charts."""
