"""The edge to wherever writer schemas are kept."""
