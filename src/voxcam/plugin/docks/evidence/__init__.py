"""The classes and how their evidence is looked at."""
