"""What lies at a place: folders walked, archives opened, headers remembered."""
