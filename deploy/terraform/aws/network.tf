# A network of its own. Machines have public addresses, since a NAT gateway costs more than small
# machines do, and nothing reaches them there: no rule lets anything in.

resource "aws_vpc" "this" {
  cidr_block           = var.cidr
  enable_dns_support   = true
  enable_dns_hostnames = true
}

resource "aws_internet_gateway" "this" {
  vpc_id = aws_vpc.this.id
}

resource "aws_subnet" "this" {
  vpc_id                  = aws_vpc.this.id
  cidr_block              = var.cidr
  availability_zone       = var.zone == "" ? null : var.zone
  map_public_ip_on_launch = false
}

resource "aws_route_table" "this" {
  vpc_id = aws_vpc.this.id

  route {
    cidr_block = "0.0.0.0/0"
    gateway_id = aws_internet_gateway.this.id
  }
}

resource "aws_route_table_association" "this" {
  subnet_id      = aws_subnet.this.id
  route_table_id = aws_route_table.this.id
}

# Without rules: what is put into this network by hand can neither be reached nor reach anything.
resource "aws_default_security_group" "this" {
  vpc_id = aws_vpc.this.id
}

resource "aws_security_group" "machine" {
  name        = "clove-${var.name}"
  description = "Kernels of Clove: nothing inward; outward HTTPS and the relay"
  vpc_id      = aws_vpc.this.id
}

resource "aws_vpc_security_group_egress_rule" "machine" {
  for_each = toset([for port in var.egress_ports : tostring(port)])

  security_group_id = aws_security_group.machine.id
  description       = "TCP ${each.key}"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = tonumber(each.key)
  to_port           = tonumber(each.key)
}
