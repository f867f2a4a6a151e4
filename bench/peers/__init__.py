"""What bench.generation starts beside Tercet: scripts for its peers, which run in an environment of their own, and a teacher that refuses.

`with_curator.py` and `with_distilabel.py` know nothing of Tercet. Each is given the same file of prompts, asks for one triple a prompt, and
says when it has the rows in hand (errand.py).
"""
