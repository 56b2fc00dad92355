"""How much memory a call needs, and what to do where there is too little."""
