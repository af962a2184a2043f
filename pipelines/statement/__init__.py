"""The monthly statement of a team: what it pays and why, from one archived release, the same bytes each time.

Belongs here: reading a release's month, wording it, checking a statement that somebody hands in. Does not: any figure that is not published.
"""
