"""What can be reconstructed from a frozen feature: squared error, SSIM and MS-SSIM."""
