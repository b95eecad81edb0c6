"""`runs_on: cluster`, the side of AWS: an EKS cluster in Auto Mode, its nodes, files and load balancer."""
