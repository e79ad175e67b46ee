"""Whether what comes in, and what is predicted, is still what the model was trained on. Pure.

::

    profile      the reference: of each feature its bins, how often each, and how much a window differs by itself
    binning      columns to bins
    counting     a batch to one sketch: integers, so that merging is exact addition whoever counted
    sketch       those counts, with the offsets that they cover and the watermark after them
    windows      sketches to whole windows: watermarks, lateness, idle partitions, what was counted twice
    statistics   how far two histograms are apart
    significance whether that is more than a window of the training period would show
    episodes     when a drift opens, is updated, and is over
    monitor      the state machine of all that: sketches in, reports and alerts out
"""
