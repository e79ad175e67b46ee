"""How good the predictions were, once their labels are there. Pure.

::

    exact        sums of numbers that come to the same bits in any order
    scoring      a prediction beside what was true: how far off, in each of the usual measures
    tally        those measures added up, and the figures that they make
    join         the predictions and the labels of one partition: a pair counts once, whatever comes when
    position     where a join has come to, and from where it has to be read again
    sketch       what one transaction of a joiner adds to the windows
    windows      sketches to whole windows, and when a window's labels are all there
    detector     whether the model is wrong more often than it was: a sequence of windows against held-out rows
    reference    the model's quality on those rows, as the bundle holds it
    monitor      the state machine of all that: sketches in, reports and alerts out
"""
