"""The nouns: geometry, volume, window, heatmap, explanation. numpy and scipy only."""
