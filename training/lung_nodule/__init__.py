"""Train and judge the demo classifier `lung_nodule_3d`."""
