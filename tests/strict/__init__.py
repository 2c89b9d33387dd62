"""A strict Keptn: a program that is as harsh as the real control plane and judges what it is sent.

Nothing here may import the project's own code: a judge must not share the mistakes of the accused.
Section numbers (`§2.3`) point into the notes on Keptn's protocol that this was written from.
"""
