"""What the measurements start beside Tercet: scripts for its peers, which run in environments of their own.

For bench.generation, and a teacher that refuses: `with_curator.py` and `with_distilabel.py` know nothing of Tercet. Each is given the same
file of prompts, asks for one triple a prompt, and says when it has the rows in hand (errand.py). For bench.encoding and bench.training:
`with_sentence_transformers.py` and `with_tercet.py` work in turns (rounds.py) on the same texts (texts.py).
"""
