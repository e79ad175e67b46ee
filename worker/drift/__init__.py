"""Whether what comes in, and what is predicted, is still what the model was trained on. Pure.

::

    profile      the reference: of each feature its bins, how often each, and how much a window differs by itself
    reference    that profile of training rows
    binning      columns to bins
    counting     a batch to one sketch: integers, so that merging is exact addition whoever counted
    sketch       those counts, with the offsets that they cover and the watermark after them
    windows      sketches to whole windows: watermarks, lateness, idle partitions, what was counted twice
    judged       what is judged of a series: its distribution, its missing and its unseen rate
    layout       all that is judged of a profile as one array
    statistics   how far two histograms are apart
    nulls        how far the training period's own blocks are from it
    bounds       how far a window may be, then
    significance which series of a window are further
    episodes     when a drift opens, grows, and is over
    estimate     what the model's scores let expect of its quality, without labels
    versions     what is remembered of one version of a model
    monitor      the state machine of all that: sketches in,
    outcome      reports and alerts out
    shown        other statistics, for people
"""
