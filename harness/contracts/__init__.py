"""What plugins see: specs, contracts and hook specs. Nothing here knows a method."""
