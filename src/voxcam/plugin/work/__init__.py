"""Work off the window's thread: scanning, reading, classifiers, explaining, drawing figures."""
