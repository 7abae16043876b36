"""Photos of cracks with everything drawn at random: surface, scale, cracks, objects, light and camera."""
