data "aws_ami" "debian" {
  most_recent = true
  owners      = ["136693071363"] # Debian's own account

  filter {
    name   = "name"
    values = ["debian-12-${var.architecture == "x86_64" ? "amd64" : "arm64"}-*"]
  }

  filter {
    name   = "architecture"
    values = [var.architecture]
  }
}

resource "aws_instance" "machine" {
  for_each = var.machines

  ami                         = var.image_id == "" ? data.aws_ami.debian.id : var.image_id
  instance_type               = var.instance_type
  subnet_id                   = aws_subnet.this.id
  vpc_security_group_ids      = [aws_security_group.machine.id]
  associate_public_ip_address = true
  iam_instance_profile        = aws_iam_instance_profile.machine[each.key].name
  user_data                   = file(each.value)

  # Version 2 with one hop: nothing behind a network namespace of the machine reaches it. The
  # units of kernel and tunnel close it for agents on the machine's own network as well.
  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
    instance_metadata_tags      = "disabled"
  }

  root_block_device {
    encrypted             = true
    volume_type           = "gp3"
    volume_size           = var.disk_gib
    delete_on_termination = true
    tags                  = { Name = "clove-${each.key}", "clove:deployment" = var.name }
  }

  dynamic "instance_market_options" {
    for_each = var.spot ? ["spot"] : []

    content {
      market_type = "spot"
    }
  }

  tags = { Name = "clove-${each.key}" }

  # A newer image or another first boot is for machines that are made anew; these have state.
  lifecycle {
    ignore_changes = [ami, user_data]
  }

  # What the first boot asks for is there before it.
  depends_on = [
    aws_iam_role_policy.machine,
    aws_route_table_association.this,
    aws_s3_object.bundle,
    aws_s3_object.join_token,
    aws_vpc_security_group_egress_rule.machine,
  ]
}
