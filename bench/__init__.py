"""One module per measured claim: `python -m bench.NAME --json`. The last line is one JSON object; units are in the names."""
