"""Images: data sets, encoders and objectives that read pixels."""
