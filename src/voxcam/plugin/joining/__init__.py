"""Who listens to whom: panels ask the review, the review tells panels and picture."""

from voxcam.plugin.joining.docks import join_browser, join_planes, join_plot
from voxcam.plugin.joining.panels import join_drops
from voxcam.plugin.joining.whole import join

__all__ = ["join", "join_browser", "join_drops", "join_planes", "join_plot"]
