"""Who runs `pulumi up`: what AWS must let them do, from the kinds of resources that the program makes."""
