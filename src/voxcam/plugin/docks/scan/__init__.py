"""The scan: window, plane, cine, measures, values under the mouse."""
