"""Default rules of published systems, written anew from their thresholds (recipe.md, section 2).

Each reads one run and names every symptom that its rules see, as the verdicts that the symptom can stand
for. They are scored generously: right where any of them is in the accept-set. None claims all families.
"""
